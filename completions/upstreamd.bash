# bash completion of upstreamd; made from the table of flags by tests/it/completions.rs

_upstreamd() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    # bash takes --flag=value for three words.
    if [[ $before == '=' ]]; then
        before=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $word == '=' ]]; then
        before=${COMP_WORDS[COMP_CWORD-1]} word=
    fi
    case $before in
        -c|--config) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        -l|--listen) :; return ;;
        --base-url) :; return ;;
        --log-format) mapfile -t COMPREPLY < <(compgen -W 'auto journal json text' -- "$word"); return ;;
        --log-level) mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$word"); return ;;
        --admin) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
        --at) :; return ;;
        --interval) :; return ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W '--config --listen --base-url --log-format --log-level --print-config --admin --at --interval --once --plain --no-restart --direct --version --help' -- "$word")
        return
    fi
    case " ${COMP_WORDS[*]:1:COMP_CWORD-1} " in
        *' check ')
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
        *' key ') mapfile -t COMPREPLY < <(compgen -W 'set list remove' -- "$word") ;;
        *' check '*) ;;
        *' reload '*) ;;
        *' health '*) ;;
        *' status '*) ;;
        *' top '*) ;;
        *' key set '*) ;;
        *' key list '*) ;;
        *' key remove '*) ;;
        *' litellm-config '*) ;;
        *' import-env '*) ;;
        *) mapfile -t COMPREPLY < <(compgen -W 'check reload health status top key litellm-config import-env' -- "$word") ;;
    esac
}

complete -F _upstreamd upstreamd
