# Completion of orlop for bash. What there is to complete, orlop says itself.
_orlop() {
    local line=${COMP_LINE#*"${COMP_WORDS[0]}"} words=() word index full lines
    # bash cuts words at = and :, and what was one word has no space in front.
    for ((index = 1; index <= COMP_CWORD; index++)); do
        word=${COMP_WORDS[index]}
        if [[ ${#words[@]} -gt 0 && $line != [[:space:]]* && -n $line ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${line#*"$word"}
    done
    full=${words[${#words[@]} - 1]}
    mapfile -t lines < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
    [[ ${#lines[@]} -gt 0 ]] || return
    COMPREPLY=()
    # The part of the word that bash does not replace.
    local kept=${full%"${full##*[=:]}"}
    [[ $COMP_WORDBREAKS == *[=:]* ]] || kept=
    for ((index = 0; index < ${#lines[@]} - 1; index++)); do
        word=${lines[index]%%$'\t'*}
        COMPREPLY+=("${word#"$kept"}")
    done
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *[:=] ]] || compopt -o nospace
    [[ ${#COMPREPLY[@]} -eq 0 ]] || return
    case ${lines[${#lines[@]} - 1]} in
    :files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "${full#"$kept"}") ;;
    :directories) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "${full#"$kept"}") ;;
    esac
}
complete -F _orlop orlop
