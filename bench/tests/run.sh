#!/bin/sh
# SPDX-License-Identifier: MIT
#
# run.sh - does quire-bench work? Not: how fast is anything.
#
#   run.sh results|options|standard|failures|instructions BENCH FAULTY CHECK-JSON
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
standard)
    # The JSON alone is on standard output, the tables on standard error; counts come the other way.
    set -- --quick --rounds 1 --scale 100 --case pair --allocator null --threads 1
    status_of "$bench" "$@" --json -
    [ "$status" -eq 0 ] || fail "--json - gives status $status: $(cat "$dir/stderr")"
    python3 -m json.tool "$dir/stdout" >/dev/null || fail "--json - is not JSON alone"
    grep -q '^pair .* null' "$dir/stderr" || fail "--json - loses the table"
    echo "pair null 0 1 0 0 5" | "$bench" "$@" --instructions - >"$dir/stdout"
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
    ;;
instructions)
    "$(dirname "$0")/../instructions.sh" "$bench" "$dir/counts" --case pair --scale 100
    for allocator in quire spinlock-buddy null; do
        count=$(awk -v a="$allocator" '$1 == "pair" && $2 == a && $3 == 0 { print int($7) }' \
            "$dir/counts")
        # two calls need some instructions, and no pair needs ten thousand
        [ "${count:-0}" -ge 8 ] && [ "$count" -le 10000 ] || fail "$allocator counts '$count'"
    done
    status_of "$bench" --quick --rounds 1 --scale 100 --case pair --instructions "$dir/counts" \
        --json "$dir/out.json"
    [ "$status" -eq 0 ] || fail "$(cat "$dir/stderr")"
    grep -q '"instructions"' "$dir/out.json" || fail "the JSON does not hold the counts"
    echo "pair quire 0 1 0 zero 5" >>"$dir/counts"
    status_of "$bench" --instructions "$dir/counts"
    [ "$status" -eq 1 ] || fail "a file of counts with a bad line gives status $status"
    ;;
*)
    fail "no such part: $part"
    ;;
esac
