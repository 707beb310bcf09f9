# SPDX-License-Identifier: MIT
#
# The core without a C library: every source compiled as a kernel would, then linked into one
# relocatable object that may ask for nothing but memcpy and memset.

file(GLOB sources CONFIGURE_DEPENDS core/*.c)
add_library(quire_core OBJECT ${sources})
target_include_directories(quire_core PUBLIC include PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(quire_core PRIVATE quire_warnings)

# -nostdinc and the compiler's own headers: an #include of the C library is an error.
execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=include
                OUTPUT_VARIABLE compiler_headers OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
target_compile_options(quire_core PRIVATE -ffreestanding -nostdlib -nostdinc
                       -isystem ${compiler_headers} -fno-pic -fno-stack-protector)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(quire_core PRIVATE -mgeneral-regs-only -mno-red-zone)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    target_compile_options(quire_core PRIVATE -mgeneral-regs-only)
endif()

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
