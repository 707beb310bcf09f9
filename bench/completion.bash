# SPDX-License-Identifier: MIT
#
# completion.bash: how bash completes the words of `quire-bench`; cases and allocators are those that
# its --help lists. Installed where bash-completion looks for it; or `. completion.bash`. A test
# compares the options with --help.

# The names of a list of --help, behind the ones of a comma-separated list that are there already.
_quire_bench_names()
{
    local word=$1 list=$2 done=''

    [[ $word == *,* ]] && done=${word%,*},
    "${COMP_WORDS[0]}" --help 2>/dev/null | awk -v list="$list" -v done="$done" '
        /^[a-z]/ { inside = index($0, list) == 1 }
        inside && /^  [a-z]/ { print done $1 }'
}

_quire_bench()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}

    # bash takes --option=value for three words
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    case $before in
    --json | --instructions)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        ;;
    --case)
        mapfile -t COMPREPLY < <(compgen -W "$(_quire_bench_names "$word" cases)" -- "$word")
        ;;
    --allocator)
        mapfile -t COMPREPLY < <(compgen -W "$(_quire_bench_names "$word" allocators)" -- "$word")
        ;;
    --variant | --threads | --rounds | --scale) ;;
    *)
        mapfile -t COMPREPLY < <(compgen -W '--quick --case --allocator --variant --threads --rounds
            --scale --json --instructions --count-only --help --version' -- "$word")
        ;;
    esac
}

complete -F _quire_bench quire-bench
