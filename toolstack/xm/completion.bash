# SPDX-License-Identifier: MIT
# Completion of xm's words for bash: copy to /usr/share/bash-completion/completions/xm (and xl). Commands and options come
# from xm itself, names of guests from xm list.
_xm() {
    local word=${COMP_WORDS[COMP_CWORD]} command= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { command=${COMP_WORDS[i]}; break; }
    done
    if [[ -z $command ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xm help --words)" -- "$word")
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xm help --words "$command" 2>/dev/null)" -- "$word")
    elif [[ $command == help ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(xm help --words)" -- "$word")
    elif [[ $command == snapshot && $i -eq $((COMP_CWORD - 1)) ]]; then
        mapfile -t COMPREPLY < <(compgen -W "create list revert delete" -- "$word")
    elif [[ $command == create || $command == config-update && $i -lt $((COMP_CWORD - 1)) ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word"; cd /etc/xen 2>/dev/null && compgen -f -X '!*.cfg' -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(xm list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$word")
    fi
}
complete -o default -F _xm xm xl
