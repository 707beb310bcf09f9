# SPDX-License-Identifier: MIT
#
# The boots that are tests: one machine each, never two at a time. A boot that fails shows the end
# of its console; one that gives no verdict within its time is a failure.

include(${PROJECT_SOURCE_DIR}/stress/cmake/QuireTest.cmake)

quire_ctest(NAME lint-tidy-kernel-port LABELS lint TIMEOUT 600
            COMMAND ${PROJECT_SOURCE_DIR}/stress/lint/tidy ${PROJECT_BINARY_DIR}
                    ${CMAKE_CURRENT_SOURCE_DIR})

function(boot name)
    set(processors 2)
    if("--panic" IN_LIST ARGN OR "--icount" IN_LIST ARGN) # one emulated CPU at a time
        set(processors 1)
    endif()
    quire_ctest(NAME boot-${name} LABELS qemu TIMEOUT 240 PROCESSORS ${processors}
        COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tools/qemu --quiet --timeout 1000
                --kernel ${CMAKE_RUNTIME_OUTPUT_DIRECTORY} ${ARGN})
    if(TEST ${QUIRE_PRESET}.boot-${name})
        set_tests_properties(${QUIRE_PRESET}.boot-${name} PROPERTIES RESOURCE_LOCK qemu)
    endif()
endfunction()

# Machines.
boot(uneven-nodes --smp 8 --nodes 4 --append "seconds=2"
     --expect "ended: read of 0000123456789000" --expect "the guard below its stack"
     --expect "ended: execution of")
boot(one-cpu --smp 1 --nodes 1 --mem 512M --append "seconds=1")
set(of_nodes port,zone,space,heap,touch,drain,exchange,hotplug,exhaust)
boot(node-without-cpus --layout 3:512M,0:512M --suite ${of_nodes} --append "seconds=1")
boot(node-without-memory --layout 2:512M,2:0 --suite ${of_nodes} --append "seconds=1")
boot(64-cpus --smp 64 --nodes 8 --mem 2G --suite traps,stress,exchange --append "seconds=2")
boot(128-mib --smp 2 --nodes 1 --mem 128M --append "seconds=1")
boot(6-gib --smp 4 --nodes 2 --mem 6G --suite touch) # in the soak: 16

# CPU caches in local mode: drains ask the other CPUs, by NMIs.
boot(local --smp 8 --nodes 4 --append "mode=local seconds=1")
boot(local-one-cpu --smp 1 --nodes 1 --mem 512M
     --suite drain,boundaries,interrupts,exhaust --append "mode=local seconds=1")
# The heap alone, on four nodes, and longer than among all suites.
boot(heap --smp 8 --nodes 4 --mem 1G --suite heap --append "seconds=3"
     --expect "by leaky_driver+0x" --expect "written behind the end: byte 50 is 0x1")

# Ways to boot.
boot(bios --boot bios --suite traps,zone,user,stress --mem 1G --append "seconds=1"
     --expect "booted by Multiboot2")
boot(uefi --boot uefi --suite traps,zone,user,stress --mem 1G --append "seconds=1"
     --expect "booted by Multiboot2")

# Free memory goes to the hypervisor: its process becomes smaller, and larger again.
boot(reporting --smp 4 --nodes 2 --mem 1G --balloon reporting --suite reporting,stress
     --append "seconds=1" --expect "frames were given back meanwhile")

# Memory maps: pages set aside, of both sizes, and a space that has one of 1 GiB; holes, overlaps,
# device memory, odd borders.
boot(huge-pages --layout 2:3584M,2:512M --suite zone,touch,space
     --append "hugepages=0@1G:1,2M:32" --expect ": a page of 1 GiB"
     --expect "faults for a page of 1 GiB, which all CPUs read and write: 1"
     --expect "a smaller page is of a Huge zone")
boot(odd-map --smp 2 --nodes 2 --mem 512M --suite zone,touch,stress --append
     "seconds=1 memmap=5000@0x2000123:reserved,64M@0x3000000:reserved,48M@0x4000000:reserved\
,1M@0x40fff:usable,16M@0x8000000:device,12345678@0xc000001:reserved,1@0xd000fff:reserved")

# Figures, of instructions, which do not depend on how busy this machine is; with their limits.
boot(figures --icount --suite count,bench,user-cost --json ${CMAKE_CURRENT_BINARY_DIR}/figures.json)
boot(figures-local --icount --suite count --append "mode=local")

# Refusals: each a panic that says why.
boot(panic-no-memory --layout 1:64M --append "memmap=59M@0x500000:reserved"
     --panic "too little memory")
boot(panic-image-reserved --layout 1:64M --append "memmap=4K@0x201000:reserved"
     --panic "memory map: the kernel's image")
boot(panic-absurd-map --layout 1:64M --append "memmap=0xffffffffffffffff@4096:usable"
     --panic "memmap=: ffffffffffffffff bytes at 1000")
boot(panic-huge-pages --layout 1:512M --append "hugepages=1G:1" --panic "hugepages=: ")
boot(panic-no-balloon --layout 1:64M --suite reporting --panic "there is no virtio-balloon device")
boot(panic-no-reporting --layout 1:64M --suite reporting --balloon plain
     --panic "offers no free page reporting")
boot(panic-option --layout 1:64M --append "hugepage=1G:1" --panic "there is no option")
boot(panic-suite --layout 1:64M --suite stres --panic "there is no suite \"stres\"")
boot(panic-stack --layout 4:64M --suite overflow --panic "stack overflow"
     --expect "deeper+0x" --expect "on CPU 0, 3 of 3 others are stopped")
