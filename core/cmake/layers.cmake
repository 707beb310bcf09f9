# SPDX-License-Identifier: MIT
#
# layers.cmake - the sources of core, percpu and numa: the one list that every build reads (the
# library, the freestanding build, the benchmark's variants, tests that compile a layer anew) and
# that is installed as sources.txt for whoever compiles them with a build system of their own; and
# the sources of kernel-port/vm and kernel-port/heap, as sources-vm.txt and sources-heap.txt.
#
# Paths are from the root of the tree, which is on the include path of these files alone.

set(QUIRE_CORE_SOURCES
    core/alloc/alloc_at.c
    core/alloc/alloc_contig.c
    core/alloc/alloc_runs.c
    core/alloc/batch.c
    core/alloc/batch_runs.c
    core/alloc/count.c
    core/alloc/find_block.c
    core/alloc/find_whole.c
    core/alloc/give_back.c
    core/alloc/range.c
    core/alloc/request.c
    core/alloc/reserve.c
    core/alloc/split_join.c
    core/alloc/walk.c
    core/alloc/watch.c
    core/alloc/zero_idle.c
    core/alloc/zone_alloc.c
    core/alloc/zone_free.c
    core/blocks/block_whole.c
    core/blocks/claim.c
    core/blocks/gone.c
    core/blocks/hint.c
    core/blocks/home.c
    core/blocks/map_words.c
    core/blocks/pin.c
    core/blocks/run_map.c
    core/blocks/section.c
    core/blocks/take.c
    core/blocks/word_runs.c
    core/boot/boot.c
    core/boot/boot_plan.c
    core/isolate/blockers.c
    core/isolate/isolate.c
    core/search/arch/search_avx2.c
    core/search/arch/search_avx512.c
    core/search/arch/search_neon.c
    core/search/arch/search_word.c
    core/search/search.c
    core/zone/check.c
    core/zone/error.c
    core/zone/metadata.c
    core/zone/pfnmap.c
    core/zone/range_stats.c
    core/zone/stats.c
    core/zone/version.c
    core/zone/zone.c)

set(QUIRE_PERCPU_SOURCES
    percpu/ask.c
    percpu/batch.c
    percpu/build.c
    percpu/density.c
    percpu/depot.c
    percpu/drain.c
    percpu/fastpath.c
    percpu/lifecycle.c
    percpu/ownership.c
    percpu/pressure.c
    percpu/simple.c
    percpu/slowpath.c
    percpu/view.c)

set(QUIRE_NUMA_SOURCES
    numa/acpi/acpi.c
    numa/acpi/acpi_cpus.c
    numa/acpi/acpi_find.c
    numa/acpi/acpi_speed.c
    numa/compact/compact.c
    numa/compact/give_back.c
    numa/compact/keep.c
    numa/compact/plan.c
    numa/machine/batch.c
    numa/machine/bringup.c
    numa/machine/drain.c
    numa/machine/fastpath.c
    numa/machine/guard.c
    numa/machine/hotplug.c
    numa/machine/machine.c
    numa/machine/mempool.c
    numa/machine/offline.c
    numa/machine/policy.c
    numa/machine/remote.c
    numa/machine/shape.c
    numa/machine/slowpath.c
    numa/machine/snapshot.c
    numa/machine/stats.c
    numa/machine/zone_caches.c
    numa/machine/zone_give_back.c
    numa/topology/topology.c
    numa/topology/topology_check.c
    numa/topology/topology_order.c
    numa/topology/topology_tier.c)

set(QUIRE_LAYER_SOURCES ${QUIRE_CORE_SOURCES} ${QUIRE_PERCPU_SOURCES} ${QUIRE_NUMA_SOURCES})

# A library of its own, quire_vm, which stands on these (kernel-port/vm).
set(QUIRE_VM_SOURCES
    kernel-port/vm/alter.c
    kernel-port/vm/area.c
    kernel-port/vm/change.c
    kernel-port/vm/fault.c
    kernel-port/vm/file/areas.c
    kernel-port/vm/file/cache.c
    kernel-port/vm/file/file.c
    kernel-port/vm/file/limit.c
    kernel-port/vm/file/note.c
    kernel-port/vm/file/touch.c
    kernel-port/vm/fork.c
    kernel-port/vm/formats.c
    kernel-port/vm/gigabytes/fill.c
    kernel-port/vm/gigabytes/set_aside.c
    kernel-port/vm/large.c
    kernel-port/vm/map.c
    kernel-port/vm/promote/around.c
    kernel-port/vm/promote/choice.c
    kernel-port/vm/promote/demote.c
    kernel-port/vm/promote/promote.c
    kernel-port/vm/promote/rows.c
    kernel-port/vm/resize.c
    kernel-port/vm/share.c
    kernel-port/vm/source.c
    kernel-port/vm/space.c
    kernel-port/vm/table.c
    kernel-port/vm/walk.c)

# Another one, quire_heap (kernel-port/heap).
set(QUIRE_HEAP_SOURCES
    kernel-port/heap/build.c
    kernel-port/heap/cache.c
    kernel-port/heap/classes.c
    kernel-port/heap/figures.c
    kernel-port/heap/frames.c
    kernel-port/heap/magazine.c
    kernel-port/heap/magazine_flush.c
    kernel-port/heap/objects.c
    kernel-port/heap/slab.c
    kernel-port/heap/who/debug.c
    kernel-port/heap/who/holders.c
    kernel-port/heap/who/owners.c
    kernel-port/heap/who/records.c
    kernel-port/heap/who/tags.c
    kernel-port/heap/who/walk.c
    kernel-port/heap/who/watch.c)

# A file that is there and not in the list would be missed by everybody at once.
file(GLOB_RECURSE found RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
     ${PROJECT_SOURCE_DIR}/core/*.c ${PROJECT_SOURCE_DIR}/percpu/*.c ${PROJECT_SOURCE_DIR}/numa/*.c
     ${PROJECT_SOURCE_DIR}/kernel-port/vm/*.c ${PROJECT_SOURCE_DIR}/kernel-port/heap/*.c)
foreach(source ${found})
    if(NOT source IN_LIST QUIRE_LAYER_SOURCES AND NOT source IN_LIST QUIRE_VM_SOURCES AND
       NOT source IN_LIST QUIRE_HEAP_SOURCES)
        message(FATAL_ERROR "${source} is not in core/cmake/layers.cmake")
    endif()
endforeach()

list(JOIN QUIRE_LAYER_SOURCES "\n" lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/sources.txt CONTENT "${lines}\n")
list(JOIN QUIRE_VM_SOURCES "\n" lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/sources-vm.txt CONTENT "${lines}\n")
list(JOIN QUIRE_HEAP_SOURCES "\n" lines)
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/sources-heap.txt CONTENT "${lines}\n")
foreach(layer CORE PERCPU NUMA LAYER VM HEAP)
    list(TRANSFORM QUIRE_${layer}_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/)
endforeach()
