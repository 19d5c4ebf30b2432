# bash completion for winpack, made by: winpack completion bash
#
# The words go to `winpack __complete` as they are typed, and what it prints is
# offered. Nothing of either is evaluated.

_winpack() {
  local LC_ALL=C # COMP_POINT counts bytes
  local line=${COMP_LINE:0:COMP_POINT} blanks word i last=-1 reply keep= mode=
  local -a words
  words=()
  COMPREPLY=()

  # bash splits words at = and : too: what has no blank in between is one word.
  for ((i = 0; i <= COMP_CWORD; i++)); do
    blanks=${line%%[![:space:]]*}
    line=${line:${#blanks}}
    word=${COMP_WORDS[i]}
    if ((i == COMP_CWORD)); then word=$line; fi
    line=${line:${#word}}
    if ((last >= 0)) && [[ -z $blanks ]]; then
      words[last]+=$word
    else
      words[++last]=$word
    fi
  done

  # Only what stands behind the last = or : is replaced.
  local breaks=${COMP_WORDBREAKS//[^=:]/}
  if [[ -n $breaks && ${words[last]} == *[$breaks]* ]]; then
    keep=${words[last]%"${words[last]##*[$breaks]}"}
  fi

  while IFS= read -r reply; do
    if [[ -z $mode ]]; then
      mode=${reply%%$'\t'*}
      continue
    fi
    reply=${reply%%$'\t'*}
    COMPREPLY+=("${reply#"$keep"}")
  done < <(command winpack __complete -- "${words[@]:1:last-1}" "@${words[last]}" 2>/dev/null)

  # With -o default, no reply means the names of files.
  if [[ $mode != paths ]] && type compopt >/dev/null 2>&1; then
    compopt +o default
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
  fi
}

complete -o default -F _winpack winpack winpack.exe
