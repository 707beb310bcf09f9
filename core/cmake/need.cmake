# SPDX-License-Identifier: MIT
#
# What an option needs, and the Debian package that has it:
#
#   quire_need(option name package MODULE module)
#       The target PkgConfig::name of a pkg-config module,
#   quire_need(option name package HEADER header LIBRARY library)
#       or Need::name of a library without one;
#
# or an error that names the package and the option to do without.

find_package(PkgConfig QUIET)

function(quire_need option name package)
    cmake_parse_arguments(PARSE_ARGV 3 n "" "MODULE;HEADER;LIBRARY" "")
    if(TARGET Need::${name})
        return()
    endif()
    set(found FALSE)
    if(n_LIBRARY)
        find_library(${name}_library ${n_LIBRARY})
        find_path(${name}_headers ${n_HEADER})
        if(${name}_library AND ${name}_headers)
            set(found TRUE)
            add_library(Need::${name} INTERFACE IMPORTED GLOBAL)
            target_link_libraries(Need::${name} INTERFACE ${${name}_library})
            target_include_directories(Need::${name} INTERFACE ${${name}_headers})
        endif()
    elseif(PKG_CONFIG_FOUND)
        pkg_check_modules(${name} QUIET IMPORTED_TARGET GLOBAL ${n_MODULE})
        set(found ${${name}_FOUND})
    else()
        set(package "${package} and pkgconf")
    endif()
    if(NOT found)
        message(FATAL_ERROR "${option} needs ${name} (${package}); or -D${option}=OFF")
    endif()
endfunction()
