# SPDX-License-Identifier: MIT
#
# Concurrency Kit's headers, of which percpu/stack.h uses one, on x86-64 alone. quire_kit(folder)
# makes a folder with links to them and to nothing else, for a compiler that must not see what lies
# beside them: another C library's headers, or any. QUIRE_KIT is what has to be on the include path
# of the layers in a build with a C library: nothing, if the compiler finds the headers by itself.

include(CheckCSourceCompiles)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
check_c_source_compiles("
#ifndef __x86_64__
#error
#endif
int i;" QUIRE_KIT_NEEDED)
unset(CMAKE_TRY_COMPILE_TARGET_TYPE)
if(QUIRE_KIT_NEEDED)
    find_path(ck_headers ck_stack.h HINTS /usr/include)
    if(NOT ck_headers)
        message(FATAL_ERROR "Quire needs the headers of Concurrency Kit on x86-64 (libck-dev)")
    endif()
endif()

function(quire_kit folder)
    file(MAKE_DIRECTORY ${folder})
    file(GLOB parts ${ck_headers}/ck_*.h ${ck_headers}/gcc)
    foreach(part ${parts})
        cmake_path(GET part FILENAME name)
        file(CREATE_LINK ${part} ${folder}/${name} SYMBOLIC)
    endforeach()
endfunction()

set(QUIRE_KIT "")
if(QUIRE_KIT_NEEDED AND NOT QUIRE_FREESTANDING AND
   NOT ck_headers IN_LIST CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES)
    set(QUIRE_KIT ${PROJECT_BINARY_DIR}/kit)
    quire_kit(${QUIRE_KIT})
endif()
