#compdef winpack winpack.exe
# zsh completion for winpack, made by: winpack completion zsh
#
# The words go to `winpack __complete` as they are typed, without their quotes,
# and what it prints is offered. Nothing of either is evaluated.

_winpack() {
  local -a lines complete open
  local line prefix value about
  lines=("${(@f)$(command winpack __complete -- "${(@Q)words[2,CURRENT-1]}" "@${(Q)PREFIX}" 2>/dev/null)}")
  if [[ ${lines[1]} == paths$'\t'* ]]; then
    prefix=${lines[1]#*$'\t'}
    [[ -n $prefix ]] && compset -P "${(b)prefix}"
    _files
    return
  fi
  for line in "${(@)lines[2,-1]}"; do
    value=${line%%$'\t'*}
    about=${line#*$'\t'}
    line=${value//:/\\:}${about:+:$about}
    if [[ $value == *= ]]; then open+=("$line"); else complete+=("$line"); fi
  done
  (( $#complete )) && _describe -t values winpack complete
  (( $#open )) && _describe -t values winpack open -S ''
  return 0
}

if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _winpack "$@"
else
  compdef _winpack winpack winpack.exe
fi
