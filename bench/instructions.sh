#!/bin/sh
# SPDX-License-Identifier: MIT
#
# instructions.sh - instructions per operation, counted by callgrind.
#
#   bench/instructions.sh PROGRAM OUT [options of quire-bench]
#
# Runs PROGRAM (a quire-bench) under valgrind with --count-only: the same loops, shorter, on one
# thread, the collection switched on where the clock would run. Writes to OUT one line per
# configuration,
#   case allocator variant instructions-per-operation
# which `quire-bench --instructions OUT` shows beside the times. Counts are repeatable where times
# are noisy; they do not see what a locked instruction or a cache miss costs. valgrind offers no
# AVX-512, so the AVX2 searches are counted.
set -eu

if [ $# -lt 2 ]; then
    echo "usage: $0 PROGRAM OUT [options of quire-bench]" >&2
    exit 2
fi
program=$1
out=$2
shift 2
for tool in valgrind strip; do
    if ! command -v $tool >/dev/null; then
        echo "$0: $tool is not installed; install the packages valgrind and binutils" >&2
        exit 1
    fi
done
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Only totals are wanted, and not every valgrind can read every compiler's debugging information.
strip --strip-debug -o "$dir/program" "$program"
valgrind --quiet --tool=callgrind --collect-atstart=no --combine-dumps=yes --compress-strings=yes \
    --callgrind-out-file="$dir/counts" "$dir/program" --scale 16 "$@" --count-only --quick

# Each dump opens with the label that the program gave it and says its total further down.
awk '/^desc: Trigger: Client Request: bench / {
         sub(/^desc: Trigger: Client Request: bench /, "")
         split($0, label, " ")
         configuration = $1 " " $2 " " $3
     }
     /^(summary|totals):/ && configuration != "" {
         printf "%s %.1f\n", configuration, $2 / label[4]
         configuration = ""
     }' "$dir"/counts* >"$dir/table"
if [ ! -s "$dir/table" ]; then
    echo "$0: callgrind wrote no counts" >&2
    exit 1
fi
mv "$dir/table" "$out"
