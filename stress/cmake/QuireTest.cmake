# SPDX-License-Identifier: MIT
#
# How a test is built and registered, the same way in every folder:
#
#   quire_test(NAME name SOURCES a.c b.c [LIBS cmocka cjson Threads::Threads target ...]
#              [LABELS unit ...] [ARGS ...] [TIMEOUT seconds] [PROCESSORS n] [WHITEBOX] [MAY_SKIP])
#       A program `name` of these sources, linked with the static library, and a test that runs it.
#       The root of the tree is on the include path, for headers of stress/common. WHITEBOX says
#       that the test includes headers of the layers; the lint lets no other test do so.
#
#   quire_ctest(NAME name COMMAND program-or-target args... [LABELS ...] [TIMEOUT seconds]
#               [PROCESSORS n] [MAY_SKIP])
#       A test that runs a command: scripts, or further runs of a program with other arguments.
#       MAY_SKIP says that it may end with 77, where something is missing that it says, and counts
#       as skipped then.
#
# A test is called `<preset>.<name>`, so that one summary can hold several builds. It is left out,
# and its program is not built by default, if one of its labels is in QUIRE_SKIP_LABELS; and under
# ThreadSanitizer, which sees races alone, if it is a unit test without the label `threads`.
# Programs of tests labelled `stress`, but not `stepped`, count as two processors unless told
# otherwise. The folder of stress that a test is in (core, percpu ...) is a label of it too, and the
# target unit-<folder> builds the programs of its unit tests.
#
# A TIMEOUT is there to end what hangs, and judges nothing: it says what the test may take on a
# quiet machine, two minutes if it is not given, and QUIRE_PATIENCE times as much is allowed.

set(QUIRE_PATIENCE 5)

# Programs for another machine run in an emulator.
# Address space randomisation makes some ThreadSanitizers refuse to start.
set(QUIRE_RUNNER ${CMAKE_CROSSCOMPILING_EMULATOR})
if(QUIRE_SANITIZE MATCHES "thread")
    execute_process(COMMAND setarch -R true RESULT_VARIABLE refused ERROR_QUIET)
    if(refused)
        message(WARNING "setarch -R is not permitted here: ThreadSanitizer programs run without it")
    else()
        set(QUIRE_RUNNER setarch -R)
    endif()
endif()

set(QUIRE_TEST_ENVIRONMENT
    "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1"
    "ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1"
    "UBSAN_OPTIONS=print_stacktrace=1")

# The first folder below stress of the file that is being read; empty for other folders.
function(quire_part result)
    set(${result} "" PARENT_SCOPE)
    if(CMAKE_CURRENT_SOURCE_DIR MATCHES "^${PROJECT_SOURCE_DIR}/stress/([^/]+)")
        set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
    endif()
endfunction()

# Is a test with these labels left out of this build?
function(quire_skipped result)
    set(${result} FALSE PARENT_SCOPE)
    foreach(label ${ARGN})
        if(label IN_LIST QUIRE_SKIP_LABELS)
            set(${result} TRUE PARENT_SCOPE)
        endif()
    endforeach()
    if(QUIRE_SANITIZE MATCHES "thread" AND "unit" IN_LIST ARGN AND NOT "threads" IN_LIST ARGN)
        set(${result} TRUE PARENT_SCOPE)
    endif()
endfunction()

function(quire_ctest)
    cmake_parse_arguments(PARSE_ARGV 0 t "MAY_SKIP" "NAME;TIMEOUT;PROCESSORS" "COMMAND;LABELS")
    if(t_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "quire_ctest(${t_NAME}): what is ${t_UNPARSED_ARGUMENTS}?")
    endif()
    quire_skipped(skipped ${t_LABELS})
    if(skipped)
        message(STATUS "Test ${t_NAME} (${t_LABELS}) is not part of this build")
        return()
    endif()
    list(POP_FRONT t_COMMAND program)
    if(TARGET ${program})
        set(program ${QUIRE_RUNNER} $<TARGET_FILE:${program}>)
    endif()
    if(NOT t_TIMEOUT)
        set(t_TIMEOUT 120)
    endif()
    if(NOT t_PROCESSORS)
        set(t_PROCESSORS 1)
        # Who is stepped through and who watches take turns.
        if("stress" IN_LIST t_LABELS AND NOT "stepped" IN_LIST t_LABELS)
            set(t_PROCESSORS 2)
        endif()
    endif()
    math(EXPR t_TIMEOUT "${t_TIMEOUT} * ${QUIRE_PATIENCE}")
    quire_part(part)
    set(name ${t_NAME})
    if(QUIRE_PRESET)
        set(name ${QUIRE_PRESET}.${t_NAME})
    endif()
    add_test(NAME ${name} COMMAND ${program} ${t_COMMAND})
    set_tests_properties(${name} PROPERTIES LABELS "${t_LABELS};${part}" TIMEOUT ${t_TIMEOUT}
        PROCESSORS ${t_PROCESSORS} ENVIRONMENT "${QUIRE_TEST_ENVIRONMENT}")
    if(t_MAY_SKIP)
        set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
    endif()
endfunction()

function(quire_test)
    cmake_parse_arguments(PARSE_ARGV 0 t "WHITEBOX;MAY_SKIP" "NAME;TIMEOUT;PROCESSORS"
                          "SOURCES;LIBS;LABELS;ARGS")
    if(t_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "quire_test(${t_NAME}): what is ${t_UNPARSED_ARGUMENTS}?")
    endif()
    list(TRANSFORM t_LIBS REPLACE "^(cmocka|cjson)$" "PkgConfig::\\1")
    add_executable(${t_NAME} ${t_SOURCES})
    target_link_libraries(${t_NAME} PRIVATE quire_core quire_warnings ${t_LIBS})
    target_include_directories(${t_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
    if(t_WHITEBOX)
        target_compile_definitions(${t_NAME} PRIVATE ${QUIRE_DEFINITIONS})
        target_include_directories(${t_NAME} SYSTEM PRIVATE ${QUIRE_KIT})
    endif()
    quire_skipped(skipped ${t_LABELS})
    set_target_properties(${t_NAME} PROPERTIES EXCLUDE_FROM_ALL ${skipped})
    quire_part(part)
    if(part AND "unit" IN_LIST t_LABELS AND NOT skipped)
        if(NOT TARGET unit-${part})
            add_custom_target(unit-${part})
        endif()
        add_dependencies(unit-${part} ${t_NAME})
    endif()
    set(may_skip)
    if(t_MAY_SKIP)
        set(may_skip MAY_SKIP)
    endif()
    quire_ctest(NAME ${t_NAME} ${may_skip} COMMAND ${t_NAME} ${t_ARGS} LABELS ${t_LABELS}
                TIMEOUT ${t_TIMEOUT} PROCESSORS ${t_PROCESSORS})
endfunction()

# documented(FILE MARK LINES OUT): the C between the comments `MARK` and `end MARK` of FILE, at most
# so many lines, as the source OUT.
function(documented file mark lines out)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
    file(READ ${PROJECT_SOURCE_DIR}/${file} text)
    string(REGEX MATCH "<!-- ${mark} -->\n```c\n(.*)\n```\n<!-- end ${mark} -->" found "${text}")
    set(code "${CMAKE_MATCH_1}")
    string(REGEX MATCHALL "\n" ends "\n${code}")
    list(LENGTH ends count)
    if(NOT found)
        set(count "no")
    endif()
    if(NOT found OR count GREATER lines)
        message(FATAL_ERROR "${file}: ${count} lines of C from <!-- ${mark} --> to its end, "
                            "expected 1 to ${lines}")
    endif()
    file(CONFIGURE OUTPUT ${out} CONTENT "${code}\n" @ONLY)
    set_source_files_properties(${CMAKE_CURRENT_BINARY_DIR}/${out} PROPERTIES
        COMPILE_OPTIONS -Wno-unused-parameter)
endfunction()
