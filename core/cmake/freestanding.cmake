# SPDX-License-Identifier: MIT
#
# core, percpu and numa without a C library: every source compiled as a kernel would, then linked
# into one relocatable object that may ask for nothing but memcpy and memset.

add_library(quire_core OBJECT ${QUIRE_LAYER_SOURCES})
target_include_directories(quire_core PUBLIC include PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(quire_core PRIVATE quire_warnings)

# Concurrency Kit's headers, from among the C library's, and what they ask of it: a limits.h, of
# which one number is used.
set(kit ${PROJECT_BINARY_DIR}/kit)
quire_kit(${kit})
file(CONFIGURE OUTPUT ${kit}/limits.h CONTENT "#define UINT_MAX (__INT_MAX__ * 2u + 1u)\n")

# -nostdinc and the compiler's own headers: an #include of the C library is an error.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include
                OUTPUT_VARIABLE compiler_headers OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set(QUIRE_FREESTANDING_OPTIONS -ffreestanding -nostdlib -nostdinc
    -isystem ${kit} "SHELL:-isystem ${compiler_headers}" -fno-pic -fno-stack-protector)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(APPEND QUIRE_FREESTANDING_OPTIONS -mgeneral-regs-only -mno-red-zone)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(APPEND QUIRE_FREESTANDING_OPTIONS -mgeneral-regs-only -mno-outline-atomics)
endif()
target_compile_options(quire_core PRIVATE ${QUIRE_FREESTANDING_OPTIONS})
target_compile_definitions(quire_core PRIVATE ${QUIRE_DEFINITIONS})

set(object ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/quire.o)
file(MAKE_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r -o ${object} $<TARGET_OBJECTS:quire_core>
    DEPENDS quire_core $<TARGET_OBJECTS:quire_core>
    COMMAND_EXPAND_LISTS VERBATIM)
add_custom_target(quire_freestanding ALL DEPENDS ${object})

if(QUIRE_TESTS)
    include(stress/cmake/QuireTest.cmake)
    quire_ctest(NAME undefined-symbols LABELS freestanding
        COMMAND ${PROJECT_SOURCE_DIR}/stress/lint/undefined ${CMAKE_NM} ${object})
endif()
