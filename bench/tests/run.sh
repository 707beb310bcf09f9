#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - does quire-bench work? Not: how fast is anything.
#
#   run.sh PART BENCH FAULTY CHECK-JSON
#
# PART: results, options, variants, standard, failures, instructions, limits or picture.
set -eu

part=$1
bench=$2
faulty=$3
check_json=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail()
{
    echo "FAILED: $*" >&2
    exit 1
}

# status_of COMMAND...: its exit status; stdout and stderr go to files
status_of()
{
    status=0
    "$@" >"$dir/stdout" 2>"$dir/stderr" || status=$?
}

# refused OPTIONS...: exit status 2 and exactly one line on stderr
refused()
{
    status_of "$bench" "$@"
    [ "$status" -eq 2 ] || fail "'$*' ends with status $status instead of 2"
    [ "$(wc -l <"$dir/stderr")" -eq 1 ] || fail "'$*' says not one line: $(cat "$dir/stderr")"
}

# noticed ALLOCATOR CASE WORDS: the run fails, and says WORDS
noticed()
{
    status_of "$faulty" --quick --rounds 1 --scale 100 --threads 1 --allocator "$1" --case "$2"
    [ "$status" -eq 1 ] || fail "$1 in $2 ends with status $status instead of 1"
    grep -q "FAILED: .*$3.*allocator $1, case $2" "$dir/stderr" ||
        fail "$1 in $2 does not say '$3' but: $(cat "$dir/stderr")"
}

# undrawn FILE WORDS: the picture of it is refused in one line that says WORDS, and not written
undrawn()
{
    status_of "$picture" "$1" "$dir/none.svg"
    [ "$status" -eq 1 ] || fail "$1 gives status $status instead of 1"
    [ "$(wc -l <"$dir/stderr")" -eq 1 ] || fail "$1: not one line: $(cat "$dir/stderr")"
    grep -q "$2" "$dir/stderr" || fail "$1: not '$2' but: $(cat "$dir/stderr")"
    [ ! -e "$dir/none.svg" ] || fail "$1 is drawn"
}

# of_two SHARES: a benchmark's JSON with these shares of quire, and two of cached-buddy
of_two()
{
    printf '{"results": [{"case": "churn", "fill": 50, "threads": 1, "allocator": "quire",
        "shares": %s}, {"case": "churn", "fill": 50, "threads": 1, "allocator": "cached-buddy",
        "shares": [0, 0.5]}]}' "$1" >"$dir/two.json"
}

case $part in
results)
    "$bench" --quick --rounds 1 --scale 100 --json "$dir/out.json"
    "$check_json" "$dir/out.json" || fail "the JSON is not as promised"
    ;;
options)
    refused --case nonsense
    refused --case
    refused --case pair,
    refused --allocator quire,nobody
    refused --variant 'order 1000'
    refused --variant ''
    refused --variant 'order 0,'
    refused --variant rder
    refused --case churn --variant compact
    refused --threads 0
    refused --threads 65
    refused --threads 1,
    refused --threads 1x2
    refused --threads 99999999999999999999
    refused --rounds 0
    refused --rounds -1
    refused --rounds 3x
    refused --scale 1001
    refused --nonsense
    refused nonsense
    refused --count-only
    refused --case spsc --threads 1
    status_of "$bench" --json /nonexistent/file
    [ "$status" -eq 1 ] || fail "a file that cannot be written gives status $status"
    status_of "$bench" --instructions /nonexistent/file
    [ "$status" -eq 1 ] || fail "a file that cannot be read gives status $status"
    status_of "$bench" --instructions /dev/null
    [ "$status" -eq 1 ] || fail "a file without counts gives status $status"
    status_of "$bench" --help
    [ "$status" -eq 0 ] || fail "--help gives status $status"
    grep -q random-free "$dir/stdout" || fail "--help does not name the cases"
    for option in --version -V; do
        status_of "$bench" $option
        [ "$status" -eq 0 ] || fail "$option gives status $status"
        grep -qx 'quire-bench [0-9.]*' "$dir/stdout" || fail "$option says $(cat "$dir/stdout")"
    done
    refused "$(printf -- '--case=a\nb')"
    refused "$(printf -- '--a\nb')"
    refused --alocator quire
    grep -q 'did you mean --allocator' "$dir/stderr" || fail "--alocator: $(cat "$dir/stderr")"
    refused --quick=1
    grep -q 'expected no value' "$dir/stderr" || fail "--quick=1: $(cat "$dir/stderr")"
    ;;
variants)
    set -- --quick --rounds 1 --scale 100 --allocator null,spinlock-buddy --threads 1
    "$bench" "$@" --case churn-mixed,pair --variant '0-3 50 % compact,80 % peppered,order 0' \
        >"$dir/stdout"
    # one of the first, three of the second, one of the third, for each allocator
    [ "$(grep -c '^churn-mixed .* null' "$dir/stdout")" -eq 4 ] || fail "not four variants of null"
    [ "$(grep -c '^churn-mixed .* 0-3 50 % compact .*; [0-9]* refused$' "$dir/stdout")" -eq 2 ] ||
        fail "0-3 50 % compact is not there twice"
    [ "$(grep -c '^pair .* order 0 ' "$dir/stdout")" -eq 2 ] || fail "pair is not there twice"
    # a size stands in a name, and is run only if it is asked for
    "$bench" --quick --rounds 1 --scale 100 --allocator quire-zone --threads 1 --case refusal \
        --variant 'order 3,order 9 64 GiB' >"$dir/stdout"
    [ "$(grep -c '^refusal' "$dir/stdout")" -eq 2 ] || fail "not two variants of refusal"
    grep -q '^refusal .* order 9 64 GiB ' "$dir/stdout" || fail "order 9 64 GiB is not there"
    # the same frames of the same seeds: what is counted is the same each time
    for run in 1 2; do
        "$bench" "$@" --allocator spinlock-buddy --case churn-mixed --json "$dir/$run.json" \
            >/dev/null
        grep -E '"(variant|refusals|whole_share|operations)"' "$dir/$run.json" >"$dir/$run"
    done
    grep -q whole_share "$dir/1" && cmp "$dir/1" "$dir/2" || fail "two runs differ"
    ;;
standard)
    # The JSON alone is on standard output, the tables on standard error; counts come the other way.
    set -- --quick --rounds 1 --scale 100 --case pair --allocator null --threads 1
    status_of "$bench" "$@" --json -
    [ "$status" -eq 0 ] || fail "--json - gives status $status: $(cat "$dir/stderr")"
    python3 -m json.tool "$dir/stdout" >/dev/null || fail "--json - is not JSON alone"
    grep -q '^pair .* null' "$dir/stderr" || fail "--json - loses the table"
    echo "pair null order_0 5" | "$bench" "$@" --instructions - >"$dir/stdout"
    grep -q '^pair .* null .* 5.0' "$dir/stdout" || fail "--instructions - is not read"
    if [ -w /dev/full ]; then
        for full in "--json -" "--help" "--version"; do
            status=0
            # shellcheck disable=SC2086  # words
            "$bench" "$@" $full >/dev/full 2>"$dir/stderr" || status=$?
            [ "$status" -eq 1 ] || fail "$full on a full device gives status $status"
        done
    fi
    ;;
failures)
    status_of "$faulty" --quick --rounds 1 --scale 100 --threads 1,2 --allocator sound \
        --case pair,bulk-free,churn,spsc
    [ "$status" -eq 0 ] || fail "the sound one fails: $(cat "$dir/stderr")"
    noticed refuses pair alloc
    noticed refuses bulk-alloc alloc
    noticed loses pair "free and managed frames differ"
    noticed loses bulk-free "free and managed frames differ"
    noticed doubles bulk-free free
    noticed serves refusal "a request for what is not there is served"
    ;;
instructions)
    "$(dirname "$0")/../instructions.sh" "$bench" "$dir/counts" --case pair --scale 100
    for allocator in quire spinlock-buddy null; do
        count=$(awk -v a="$allocator" \
            '$1 == "pair" && $2 == a && $3 == "order_0" { print int($4) }' "$dir/counts")
        # two calls need some instructions, and no pair needs ten thousand
        [ "${count:-0}" -ge 8 ] && [ "$count" -le 10000 ] || fail "$allocator counts '$count'"
    done
    status_of "$bench" --quick --rounds 1 --scale 100 --case pair --instructions "$dir/counts" \
        --json "$dir/out.json"
    [ "$status" -eq 0 ] || fail "$(cat "$dir/stderr")"
    grep -q '"instructions"' "$dir/out.json" || fail "the JSON does not hold the counts"
    echo "pair quire order_0 five" >>"$dir/counts"
    status_of "$bench" --instructions "$dir/counts"
    [ "$status" -eq 1 ] || fail "a file of counts with a bad line gives status $status"
    ;;
limits)
    # What misses the magazines may take, the machine's call and the loop's 25 instructions with it.
    # One of gcc's builds; the search reads a block's map by vectors.
    if ! grep -q ' avx2 ' /proc/cpuinfo; then
        echo "skipped: this machine has no AVX2"
        exit 77
    fi
    "$(dirname "$0")/../instructions.sh" "$bench" "$dir/counts" \
        --case pair,burst,contig,bulk-alloc,bulk-free --allocator quire-exchange,quire-zone \
        --variant 'order 3,order 9,order 10,order 6 burst 64,order 7 burst 64,64 frames,batch 64'
    while read -r case allocator variant most; do
        count=$(awk -v c="$case" -v a="$allocator" -v v="$variant" \
            '$1 == c && $2 == a && $3 == v { print int($4) }' "$dir/counts")
        [ "${count:-999999}" -le "$most" ] ||
            fail "$case of $allocator, $variant: $count instructions, at most $most"
    done <<END
pair quire-exchange order_3 305
pair quire-exchange order_9 250
pair quire-exchange order_10 825
pair quire-zone order_3 580
pair quire-zone order_9 445
burst quire-exchange order_6_burst_64 2100
burst quire-exchange order_7_burst_64 2600
contig quire-exchange 64_frames 2850
bulk-alloc quire-exchange batch_64 31
bulk-alloc quire-zone batch_64 26
bulk-free quire-exchange batch_64 38
bulk-free quire-zone batch_64 34
END
    ;;
picture)
    picture=$(dirname "$0")/../report/picture
    "$bench" --quick --rounds 1 --scale 100 --case churn --allocator quire,cached-buddy \
        --json "$dir/out.json" >/dev/null
    "$picture" "$dir/out.json" "$dir/out.svg" || fail "the benchmark's JSON is not drawn"
    of_two "[0, 1]"
    "$picture" "$dir/two.json" "$dir/two.svg" || fail "two shares are not drawn"
    python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$dir/two.svg" ||
        fail "no XML"
    for words in '"80,300 600,50"' '"80,300 600,175"' '>Quire 100 %<' \
        '>cached buddy 50 %<' 'share in whole blocks' 'rounds of churn' 'fill="#ffffff"'; do
        grep -q "$words" "$dir/two.svg" || fail "the picture lacks $words"
    done
    undrawn "$dir/nothing" "expected a file that can be read"
    echo '{' >"$dir/bad.json"
    undrawn "$dir/bad.json" "expected JSON"
    echo '[1]' >"$dir/bad.json"
    undrawn "$dir/bad.json" "a list .results."
    echo '{"results": []}' >"$dir/bad.json"
    undrawn "$dir/bad.json" "expected case churn, fill 50, 1 threads, of quire"
    for shares in 7 '[0]' '[0, 1.5]' '[0, null]' '[0, true]' '[0, NaN]'; do
        of_two "$shares"
        undrawn "$dir/two.json" "shares. of quire to be two or more numbers from 0 to 1"
    done
    of_two "[0, 0, 1]"
    undrawn "$dir/two.json" "as many .shares. of each"
    status_of "$picture" "$dir/out.json" /nonexistent/file
    [ "$status" -eq 1 ] || fail "a file that cannot be written gives status $status"
    status_of "$picture"
    [ "$status" -eq 2 ] || fail "no arguments give status $status"
    ;;
*)
    fail "no such part: $part"
    ;;
esac
