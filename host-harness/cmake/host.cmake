# SPDX-License-Identifier: MIT
#
# libquire-host: memory of this machine's nodes for a program (include/quire/host.h), as
# libquire-host.a (target quire_host) and libquire-host.so (quire_host_shared), with quire-host.pc
# and the CMake targets quire::host and quire::host-static. It links libquire, libnuma and liburcu;
# those two by name, so that an installed package needs no finder for them.

quire_need(QUIRE_HOST libnuma libnuma-dev HEADER numa.h LIBRARY numa)
quire_need(QUIRE_HOST liburcu liburcu-dev HEADER urcu/urcu-memb.h LIBRARY urcu-memb)

file(GLOB host_sources CONFIGURE_DEPENDS lib/*.c)
add_library(quire_host STATIC ${host_sources})
add_library(quire_host_shared SHARED ${host_sources})
set_target_properties(quire_host PROPERTIES EXPORT_NAME host-static)
set_target_properties(quire_host_shared PROPERTIES EXPORT_NAME host
    VERSION ${PROJECT_VERSION} SOVERSION ${QUIRE_SOVERSION})
target_link_libraries(quire_host PUBLIC quire_core)
target_link_libraries(quire_host_shared PUBLIC quire_shared)
add_library(quire::host ALIAS quire_host_shared)
add_library(quire::host-static ALIAS quire_host)
foreach(library quire_host quire_host_shared)
    set_target_properties(${library} PROPERTIES OUTPUT_NAME quire-host)
    target_compile_definitions(${library} PRIVATE _GNU_SOURCE)
    target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${library} PRIVATE
        $<BUILD_INTERFACE:quire_warnings> $<BUILD_INTERFACE:Need::libnuma>
        $<BUILD_INTERFACE:Need::liburcu> $<INSTALL_INTERFACE:numa> $<INSTALL_INTERFACE:urcu-memb>)
endforeach()

# The shared library exports what host.h declares and nothing else, with a version.
file(STRINGS ${PROJECT_SOURCE_DIR}/include/quire/host.h declarations
     REGEX "^[a-z][^=;{]*[ *]quire_host_[a-z0-9_]+\\(")
set(names "")
foreach(declaration ${declarations})
    if(NOT declaration MATCHES "^(static|typedef)")
        string(REGEX MATCH "quire_host_[a-z0-9_]+\\(" name "${declaration}")
        string(REPLACE "(" "" name ${name})
        list(APPEND names ${name})
    endif()
endforeach()
list(SORT names)
list(JOIN names "\n" lines)
file(CONFIGURE OUTPUT host-functions.txt CONTENT "${lines}\n")
list(JOIN names "; " names)
set(exports ${CMAKE_CURRENT_BINARY_DIR}/host-exports.map)
file(CONFIGURE OUTPUT host-exports.map
     CONTENT "QUIRE_HOST_${QUIRE_SOVERSION} { global: ${names}; local: *; };\n")
target_link_options(quire_host_shared PRIVATE -Wl,-Bsymbolic-functions
                    -Wl,--version-script=${exports})
set_target_properties(quire_host_shared PROPERTIES LINK_DEPENDS ${exports})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
             ${PROJECT_SOURCE_DIR}/include/quire/host.h)

if(NOT QUIRE_INSTALL)
    set_target_properties(quire_host_shared PROPERTIES EXCLUDE_FROM_ALL TRUE)
    return()
endif()
# As quire.pc: its prefix is found from where it lies.
configure_file(cmake/quire-host.pc.in quire-host.pc @ONLY)
install(FILES ${PROJECT_SOURCE_DIR}/include/quire/host.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/quire COMPONENT development)
install(TARGETS quire_host quire_host_shared EXPORT quireHostTargets ${QUIRE_INSTALL_COMPONENTS})
install(EXPORT quireHostTargets NAMESPACE quire:: DESTINATION ${QUIRE_PACKAGE_FOLDER}
        COMPONENT development)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/quire-host.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/docs/examples/*.c)
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples COMPONENT examples)
