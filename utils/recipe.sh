# shellcheck shell=bash
# Functions for the stages of a recipe; sourced by its path.sh, on PATH through utils/env.sh.

# stage 3 "voice embeddings": prints the title, and succeeds where this run includes stage 3.
stage() {
  # the recipe's options
  # shellcheck disable=SC2154
  { [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ]; } || return 1
  echo "$(date +%H:%M:%S) stage $1: $2"
}

# from_user PATH: a path as the user meant it. A relative one counts from $caller, where the user stood when the recipe was
# called, unless the recipe's own folder has it (conf/...); anything else, such as a published model's name, stays.
from_user() {
  # shellcheck disable=SC2154
  case $1 in
    /* | "") echo "$1" ;;
    *) if [ ! -e "$1" ] && [ -e "$caller/$1" ]; then echo "$caller/$1"; else echo "$1"; fi ;;
  esac
}

# need VARIABLE ...: stops where one of the recipe's options is empty.
need() {
  local name
  for name in "$@"; do
    if [ -z "${!name}" ]; then
      echo "${0##*/}: --${name//_/-} must be given; ${0##*/} --help lists the options" >&2
      exit 1
    fi
  done
}
