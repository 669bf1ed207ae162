#compdef orlop
# Completion of orlop for zsh. What there is to complete, orlop says itself.
_orlop() {
    local -a lines named
    local line word
    lines=("${(@f)$("${words[1]}" complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "${lines[@][1,-2]}"; do
        word=${line%%$'\t'*}
        named+=("${word//:/\\:}:${line#*$'\t'}")
    done
    if (( ${#named} )); then
        if [[ ${#named} -eq 1 && $word == *[:=] ]]; then
            _describe -V orlop named -S ''
        else
            _describe -V orlop named
        fi
        return
    fi
    case ${lines[-1]} in
    :files) _files ;;
    :directories) _files -/ ;;
    esac
}
# As a file of a directory in fpath this is the body of the function; read by `source`, it has to be made known.
if [[ ${funcstack[1]} == _orlop ]]; then
    _orlop "$@"
else
    compdef _orlop orlop
fi
