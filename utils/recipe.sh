# shellcheck shell=bash
# Functions for the stages of a recipe; sourced by its path.sh, on PATH through utils/env.sh.

# stage 3 "voice embeddings": prints the title, and succeeds if this run includes stage 3. exp/log/run.log gets the title,
# a line from every avsv command about each output that it made, redid or kept, and a summary at the end of the stage.
stage() {
  # the recipe's options
  # shellcheck disable=SC2154
  { [ "$1" -ge "$stage" ] && [ "$1" -le "$stop_stage" ]; } || return 1
  end_stage 0
  one_run
  mkdir -p exp/log
  export AVSV_RUN_LOG=$PWD/exp/log/run.log
  log_line "stage $1: $2"
  stage_number=$1 stage_start=$SECONDS stage_lines=$(wc -l <"$AVSV_RUN_LOG")
  trap 'end_stage $?' EXIT
}

# end_stage STATUS: notes how the stage that is running ended.
end_stage() {
  [ -n "${stage_number:-}" ] || return 0
  local number=$stage_number result="done" outputs
  stage_number=
  if [ "$1" != 0 ]; then result=failed; fi
  outputs=$(tail -n "+$((stage_lines + 1))" "$AVSV_RUN_LOG" | awk '
    { n[$1]++ }
    END { printf "outputs: %d made, %d redone, %d kept", n["made"], n["redone"], n["kept"] }')
  log_line "stage $number $result in $((SECONDS - stage_start)) s: $outputs"
}

# log_line TEXT: to the terminal, and with the date to the recipe's log.
log_line() {
  echo "$(date +%H:%M:%S) $1"
  echo "$(date '+%F %T') $1" >>"$AVSV_RUN_LOG"
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

# from_user PATH: a path as the user meant it. A relative one counts from the corpus' folder if that has it (conf/...), from
# $caller, where the user called the recipe, or from the folder of the reference recipe. Anything unknown, such as a published
# model's name, stays.
from_user() {
  # shellcheck disable=SC2154
  if [[ -z $1 || $1 == /* ]] || [ -e "$1" ]; then
    echo "$1"
  elif [ -e "$caller/$1" ]; then
    echo "$caller/$1"
  else
    own_or_reference "$1"
  fi
}

# own_or_reference FILE: a file of the corpus, or else the reference recipe's, such as conf/avn_e.yaml; a name that neither
# has stays as it is.
own_or_reference() {
  if [ -e "$1" ] || [ ! -e "${reference:-.}/$1" ]; then echo "$1"; else echo "$reference/$1"; fi
}

# trained_or_given EXP_DIR SOURCE: the model to use, which is EXP_DIR if SOURCE is a configuration to train.
trained_or_given() {
  case $2 in *.yaml) echo "$1" ;; *) echo "$2" ;; esac
}

# name_systems LIST DEFAULT [NAME=]SOURCE ...: puts the names (DEFAULT where none is given) into the array LIST, and what each
# is made from into source_of[NAME]. A system is written to exp/NAME.
name_systems() {
  local -n names=$1
  declare -gA source_of
  local given name
  names=()
  for given in "${@:3}"; do
    name=$2
    if [[ $given =~ ^([A-Za-z][A-Za-z0-9_-]*)=(.*)$ ]]; then name=${BASH_REMATCH[1]} given=${BASH_REMATCH[2]}; fi
    case " align dev fbank lists log logistic mean mouths results speaking ${!source_of[*]} " in *" $name "*)
      echo "${0##*/}: --${2/avn_e/fusion} $given: exp/$name is another system or part of the recipe; give NAME=$given" >&2
      exit 2 ;;
    esac
    names+=("$name")
    source_of[$name]=$(from_user "$given")
  done
}

# pair_fusions: puts the voice and the face of every fusion network into voice_of[NAME] and face_of[NAME], as CONF:VOICE+FACE
# says; without it they are the first voice and the first face. The array score_pairs holds VOICE+FACE of score fusion: the
# first voice and face, and every other pair that a network fuses; pair_suffix[PAIR] is what their names end in, empty for the
# first, and score_fusions has the names: mean and logistic of every pair.
pair_fusions() {
  local name pair
  # shellcheck disable=SC2034  # read by the recipe
  declare -gA voice_of=() face_of=()
  # shellcheck disable=SC2154
  score_pairs=("${voices[0]}+${faces[0]}")
  # shellcheck disable=SC2154
  for name in "${fusions[@]}"; do
    pair=${score_pairs[0]}
    if [[ ${source_of[$name]} =~ ^(.*):([A-Za-z0-9_-]+\+[A-Za-z0-9_-]+)$ ]]; then
      source_of[$name]=$(from_user "${BASH_REMATCH[1]}") pair=${BASH_REMATCH[2]}
    fi
    # shellcheck disable=SC2034
    voice_of[$name]=${pair%+*} face_of[$name]=${pair#*+}
    if [[ " ${voices[*]} " != *" ${pair%+*} "* || " ${faces[*]} " != *" ${pair#*+} "* ]]; then
      echo "${0##*/}: --fusion $name=...:$pair: expected VOICE+FACE; voices: ${voices[*]}; faces: ${faces[*]}" >&2
      exit 2
    fi
    if [[ " ${score_pairs[*]} " != *" $pair "* ]]; then score_pairs+=("$pair"); fi
  done
  # shellcheck disable=SC2034
  declare -gA pair_suffix=() && declare -ga score_fusions=()
  for pair in "${score_pairs[@]}"; do
    pair_suffix[$pair]=_${pair/+/_}
    if [ "$pair" = "${score_pairs[0]}" ]; then pair_suffix[$pair]=; fi
    score_fusions+=("mean${pair_suffix[$pair]}" "logistic${pair_suffix[$pair]}")
  done
}

# need VARIABLE ...: stops if one of the recipe's options is empty.
need() {
  local name
  for name in "$@"; do
    if [ -z "${!name:-}" ]; then
      echo "${0##*/}: --${name//_/-} must be given; ${0##*/} --help lists the options" >&2
      exit 2
    fi
  done
}

# at_least NUMBER VARIABLE WHY: stops if one of the recipe's options is a smaller number.
at_least() {
  if [ "${!2}" -lt "$1" ]; then
    echo "${0##*/}: --${2//_/-} ${!2}: expected at least $1, $3" >&2
    exit 2
  fi
}

# read_train_options: makes an array of --train-options, with --device before them. Keys that the recipe itself gives every
# training are refused: with another exp_dir, say, the next stage would go on with the network of an earlier run.
read_train_options() {
  local option
  read -ra train_options <<<"$train_options"
  for option in "${train_options[@]}"; do
    case $option in
      exp_dir=* | task=* | detector=* | data_dir=*)
        echo "${0##*/}: --train-options ${option%%=*}=...: the recipe sets it; change it in the recipe" >&2
        exit 2 ;;
      device=*)
        echo "${0##*/}: --train-options device=...: give --device, which holds for embeddings and training" >&2
        exit 2 ;;
    esac
  done
  # shellcheck disable=SC2154
  train_options=(device="$device" "${train_options[@]}")
}
