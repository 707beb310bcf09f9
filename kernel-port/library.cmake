# SPDX-License-Identifier: MIT
#
# quire_kernel_library(name sources...): the library quire_<name>, which stands on the layers. In a
# build with a C library it is what the tests link; without one it is compiled as core, percpu and
# numa are, and linked with them into one relocatable object, to see what it asks for.

function(quire_kernel_library name)
    set(library quire_${name})
    if(NOT QUIRE_FREESTANDING)
        add_library(${library} STATIC ${ARGN})
        target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR})
        target_include_directories(${library} SYSTEM PRIVATE ${QUIRE_KIT})
        target_compile_definitions(${library} PRIVATE ${QUIRE_DEFINITIONS})
        target_link_libraries(${library} PUBLIC quire_core PRIVATE quire_warnings)
        return()
    endif()
    add_library(${library} OBJECT ${ARGN})
    target_include_directories(${library} PRIVATE ${PROJECT_SOURCE_DIR}/include
                                                  ${PROJECT_SOURCE_DIR})
    target_link_libraries(${library} PRIVATE quire_warnings)
    target_compile_options(${library} PRIVATE ${QUIRE_FREESTANDING_OPTIONS})
    target_compile_definitions(${library} PRIVATE ${QUIRE_DEFINITIONS})

    set(object ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/quire-${name}.o)
    add_custom_command(OUTPUT ${object}
        COMMAND ${CMAKE_LINKER} -r -o ${object}
                $<TARGET_OBJECTS:quire_core> $<TARGET_OBJECTS:${library}>
        DEPENDS quire_core ${library} $<TARGET_OBJECTS:quire_core> $<TARGET_OBJECTS:${library}>
        COMMAND_EXPAND_LISTS VERBATIM)
    add_custom_target(${library}_freestanding ALL DEPENDS ${object})
    if(QUIRE_TESTS)
        include(${PROJECT_SOURCE_DIR}/stress/cmake/QuireTest.cmake)
        quire_ctest(NAME undefined-symbols-${name} LABELS freestanding
            COMMAND ${PROJECT_SOURCE_DIR}/stress/lint/undefined ${CMAKE_NM} ${object})
    endif()
endfunction()
