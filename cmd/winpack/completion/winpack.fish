# fish completion for winpack, made by: winpack completion fish
#
# The words go to `winpack __complete` as they are typed, and what it prints is
# offered. Nothing of either is evaluated.

function __winpack_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -e before[1]
    command winpack __complete -- $before "@$current" 2>/dev/null
end

function __winpack_paths
    set -l lines (__winpack_complete)
    string match -q 'paths*' -- "$lines[1]"
end

function __winpack_words
    set -l lines (__winpack_complete)
    set -e lines[1]
    printf '%s\n' $lines
end

complete -c winpack -e
complete -c winpack -n '__winpack_paths' -F
complete -c winpack -n 'not __winpack_paths' -f -a '(__winpack_words)'
