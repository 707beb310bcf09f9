# SPDX-License-Identifier: MIT
#
# The CMakeLists.txt of the outside program; `check` copies both to a folder of their own.

cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C)
set(CMAKE_C_STANDARD 11)
find_package(quire 0.2 REQUIRED COMPONENTS host)
add_executable(with-shared outside.c)
target_link_libraries(with-shared quire::quire)
add_executable(with-static outside.c)
target_link_libraries(with-static quire::static)
add_executable(host-shared dma_buffer.c)
target_link_libraries(host-shared quire::host)
add_executable(host-static dma_buffer.c)
target_link_libraries(host-static quire::host-static)
