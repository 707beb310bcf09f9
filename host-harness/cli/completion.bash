# SPDX-License-Identifier: MIT
#
# completion.bash: how bash completes the words of `quire`. Installed where bash-completion looks for
# it; or `. completion.bash`. A test compares the options with each command's --help.

_quire()
{
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local commands='run map topo frag help version' options=''

    # bash takes --option=value for three words
    if [[ $word == = ]]; then
        word=''
    elif [[ $before == = ]]; then
        before=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$word")
        return
    fi
    case $before in
    --map | --json | --svg)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --topology)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -W host -- "$word"; compgen -f -- "$word")
        return
        ;;
    --inject)
        mapfile -t COMPREPLY < <(
            compgen -W 'double-hand-out lost-frame wrong-node' -- "$word"
        )
        return
        ;;
    --threads | --seconds | --operations | --seed | --memory | --huge | --slots | --zone | \
        --orders | --fill | --peak | --unmovable | --rounds | --compact | --range | --columns)
        return
        ;;
    --lifetimes)
        mapfile -t COMPREPLY < <(compgen -W 'uniform short long generational mixed' -- "$word")
        return
        ;;
    esac
    case ${COMP_WORDS[1]} in
    run)
        options='--map --topology --asymmetric --strict --real --memory --threads --seconds
            --operations --seed --json --inject --help'
        ;;
    map) options='--map --strict --json --huge --slots --no-dma --no-dma32 --no-run-map --help' ;;
    topo) options='--topology --asymmetric --strict --json --help' ;;
    frag)
        options='--map --memory --zone --orders --fill --peak --unmovable --lifetimes --rounds
            --compact --range --seed --columns --plain --svg --json --help'
        ;;
    help) ((COMP_CWORD > 2)) || options='run map topo frag' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
}

complete -F _quire quire
