# shellcheck shell=bash
# Functions for the stages of a recipe; sourced by its path.sh, on PATH through utils/env.sh.

# stage 3 "voice embeddings": prints the title, and succeeds where this run includes stage 3.
stage() {
  # the recipe's options
  # shellcheck disable=SC2154
  { [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ]; } || return 1
  one_run
  echo "$(date +%H:%M:%S) stage $1: $2"
}

# one_run: of two runs in one folder the second waits until the first ends. The lock is the kernel's and belongs to the
# run and to all that it started: after a kill -9 the next run begins when the last job of the killed one has ended.
one_run() {
  if [ -n "${AVSV_RUN:-}" ]; then   # this run holds it, or was called by one that did
    kill -0 "$AVSV_RUN" 2>/dev/null || { echo "${0##*/}: the run that called this one is gone" >&2; exit 1; }
    return
  fi
  mkdir -p exp || exit 1
  if [ -L exp/.lock ] || { [ -e exp/.lock ] && [ ! -f exp/.lock ]; }; then
    echo "${0##*/}: $PWD/exp/.lock is a link, or no file; it leads to what is not this recipe's. Delete it." >&2
    exit 1
  fi
  exec 9>>exp/.lock || exit 1
  if ! flock --nonblock 9; then
    echo "${0##*/}: another run is at work in $PWD/exp: $(<exp/.lock); waiting until it ends" >&2
    flock 9 || exit 1
  fi
  echo "process $$ on $(uname -n) since $(date '+%F %T')" >exp/.lock
  export AVSV_RUN=$$
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
    if [ -z "${!name:-}" ]; then
      echo "${0##*/}: --${name//_/-} must be given; ${0##*/} --help lists the options" >&2
      exit 2
    fi
  done
}

# at_least NUMBER VARIABLE WHY: stops where one of the recipe's options is a smaller number.
at_least() {
  if [ "${!2}" -lt "$1" ]; then
    echo "${0##*/}: --${2//_/-} ${!2}: expected at least $1, $3" >&2
    exit 2
  fi
}

# read_train_options: makes an array of --train-options, with --device before them. The keys that the recipe itself gives
# every training are refused: with another exp_dir, say, the next stage would go on with the network of an earlier run.
read_train_options() {
  local option
  read -ra train_options <<<"$train_options"
  for option in "${train_options[@]}"; do
    case $option in
      exp_dir=* | task=* | detector=*)
        echo "${0##*/}: --train-options ${option%%=*}=...: is the recipe's own to give; change it in the recipe" >&2
        exit 2 ;;
      device=*)
        echo "${0##*/}: --train-options device=...: give --device, which is of embeddings and training" >&2
        exit 2 ;;
    esac
  done
  # shellcheck disable=SC2154
  train_options=(device="$device" "${train_options[@]}")
}
