# Completion of orlop for fish. What there is to complete, orlop says itself.
function __orlop_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] complete -- $words[2..-1] 2>/dev/null)
    test (count $lines) -gt 0; or return
    if test (count $lines) -gt 1
        string join \n -- $lines[1..-2]
        return
    end
    # Of --option=FILE, what follows the sign is a path.
    set -l last $words[-1]
    set -l kept (string match -r -- '^--[^=]*=' $last)
    switch $lines[-1]
        case ':files'
            __fish_complete_path (string replace -- "$kept" '' $last) | string replace -r -- '^' "$kept"
        case ':directories'
            __fish_complete_directories (string replace -- "$kept" '' $last) | string replace -r -- '^' "$kept"
    end
end
complete -c orlop -f -a '(__orlop_complete)'
