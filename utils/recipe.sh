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

# end_stage STATUS: logs the result of the current stage.
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

# one_run: a second run in the same folder waits until the first has ended. The kernel holds the lock for the run and all
# processes that it started: after a kill -9 the next run begins once the last job of the killed run has ended.
one_run() {
  if [ -n "${AVSV_RUN:-}" ]; then   # this run, or the run that called it, already holds the lock
    kill -0 "$AVSV_RUN" 2>/dev/null || { echo "${0##*/}: the run that called this one has ended" >&2; exit 1; }
    return
  fi
  mkdir -p exp || exit 1
  if [ -L exp/.lock ] || { [ -e exp/.lock ] && [ ! -f exp/.lock ]; }; then
    echo "${0##*/}: $PWD/exp/.lock is not a regular file; delete it." >&2
    exit 1
  fi
  exec 9>>exp/.lock || exit 1
  if ! flock --nonblock 9; then
    echo "${0##*/}: another run is active in $PWD/exp: $(<exp/.lock); waiting until it ends" >&2
    flock 9 || exit 1
  fi
  echo "process $$ on $(uname -n) since $(date '+%F %T')" >exp/.lock
  export AVSV_RUN=$$
}

# from_user PATH: resolves a path of the user. A relative path is looked up in the folder of the corpus (conf/...), then in
# $caller, where the user called the recipe, then in the reference recipe. Anything not found, such as the name of a published
# model, is returned unchanged. Of FILE.py:CLASS, a voice encoder of the user's own, the file is resolved.
from_user() {
  # shellcheck disable=SC2154
  if [[ $1 == *.py:* ]]; then
    echo "$(from_user "${1%:*}"):${1##*:}"
  elif [[ -z $1 || $1 == /* ]] || [ -e "$1" ]; then
    echo "$1"
  elif [ -e "$caller/$1" ]; then
    echo "$caller/$1"
  else
    own_or_reference "$1"
  fi
}

# own_or_reference FILE: returns a file of the corpus if it exists, otherwise that of the reference recipe (conf/avn_e.yaml);
# a name found in neither is returned unchanged.
own_or_reference() {
  if [ -e "$1" ] || [ ! -e "${reference:-.}/$1" ]; then echo "$1"; else echo "$reference/$1"; fi
}

# trained_or_given EXP_DIR SOURCE: returns EXP_DIR if SOURCE is a configuration to train, otherwise SOURCE.
trained_or_given() {
  case $2 in *.yaml) echo "$1" ;; *) echo "$2" ;; esac
}

# name_systems LIST DEFAULT [NAME=]SOURCE ...: stores the names (DEFAULT if none is given) in the array LIST and the source of
# each system in source_of[NAME]. A system is written to exp/NAME. A path that does not exist is refused before the first stage,
# and so is a program FILE.py:CLASS without --trust-model; other names may be those of published models. A+B, systems of the list
# before it, are their embeddings side by side.
name_systems() {
  local -n names=$1
  declare -gA source_of
  local given name part
  names=()
  for given in "${@:3}"; do
    name=$2
    if [[ $given =~ ^([A-Za-z][A-Za-z0-9_-]*)=(.*)$ ]]; then name=${BASH_REMATCH[1]} given=${BASH_REMATCH[2]}; fi
    case " align dev fbank lists log logistic mean mfcc mouths quality results speaking spectrogram ${!source_of[*]} " in *" $name "*)
      echo "${0##*/}: --${2/avn_e/fusion} $given: exp/$name is another system or part of the recipe; give another NAME=$given" >&2
      exit 2 ;;
    esac
    if [[ $name == *_adapted ]]; then
      echo "${0##*/}: --${2/avn_e/fusion} $given: names in _adapted are those of --adapt-set; give another NAME=$given" >&2
      exit 2
    fi
    if [[ $given == *+* && " ${names[*]} " == *" ${given%%+*} "* ]]; then
      for part in ${given//+/ }; do
        if [[ " ${names[*]} " != *" $part "* ]]; then
          echo "${0##*/}: --$2 $name=$given: expected names given before it (${names[*]}), found $part" >&2
          exit 2
        fi
      done
      names+=("$name")
      source_of[$name]=$given
      continue
    fi
    names+=("$name")
    source_of[$name]=$(from_user "$given")
    case $given in *.py:*)
      if ! ${trust_model:-false}; then
        echo "${0##*/}: --$2 $given: is a program; if you trust its author, allow it to run with --trust-model true" >&2
        exit 2
      fi
      given=${given%:*} ;;
    esac
    given=${given%:*+*}   # without :VOICE+FACE
    case $given in /* | ./* | ../* | *.yaml | *.py | *.onnx)
      if [ ! -e "$(from_user "$given")" ]; then
        echo "${0##*/}: --${2/avn_e/fusion} $given: no such file or folder" >&2
        exit 2
      fi ;;
    esac
  done
}

# concatenate SYSTEM SET ...: writes the embeddings of these sets of SYSTEM, whose source is A+B.
concatenate() {
  local set part parts
  for set in "${@:2}"; do
    parts=()
    for part in ${source_of[$1]//+/ }; do parts+=(--embeddings "exp/$part/$set/embedding.scp"); done
    avsv concatenate "${parts[@]}" "exp/$1/$set"
  done
}

# pair_fusions: puts the voice and the face of every fusion network into voice_of[NAME] and face_of[NAME], as CONF:VOICE+FACE
# says; without it they are the first voice and the first face. The array score_pairs holds VOICE+FACE of score fusion: the
# first voice and face, and every other pair that a network fuses; pair_suffix[PAIR] is what their names end in, empty for the
# first, and score_fusions has the names: mean, logistic and quality of every pair.
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
    score_fusions+=("mean${pair_suffix[$pair]}" "logistic${pair_suffix[$pair]}" "quality${pair_suffix[$pair]}")
  done
}

# adapt_systems: with --adapt-set, every voice, face, fusion network and score fusion NAME is followed by NAME_adapted, its
# counterpart on adapted embeddings. adapted_systems has the voices and faces among them; all_systems has all but score fusions.
adapt_systems() {
  local name pair both
  # shellcheck disable=SC2034  # read by the recipe
  declare -ga adapted_systems=() all_systems=()
  # shellcheck disable=SC2154
  if [ -n "$adapt_set" ]; then
    adapted_systems=("${voices[@]/%/_adapted}" "${faces[@]/%/_adapted}")
    for name in "${fusions[@]}"; do
      source_of[${name}_adapted]=${source_of[$name]}
      voice_of[${name}_adapted]=${voice_of[$name]}_adapted face_of[${name}_adapted]=${face_of[$name]}_adapted
    done
    fusions+=("${fusions[@]/%/_adapted}")
    for pair in "${score_pairs[@]}"; do
      both=${pair%+*}_adapted+${pair#*+}_adapted
      pair_suffix[$both]=${pair_suffix[$pair]}_adapted
      score_pairs+=("$both")
    done
    score_fusions+=("${score_fusions[@]/%/_adapted}")
  fi
  all_systems=("${voices[@]}" "${faces[@]}" "${adapted_systems[@]}" "${fusions[@]}")
}

# apply_to SYSTEM SET ...: the options of avsv adapt that write SYSTEM_adapted's embeddings of these sets, in the array applied.
apply_to() {
  local set
  applied=()
  for set in "${@:2}"; do applied+=(--apply "exp/$1/$set/embedding.scp" "exp/$1_adapted/$set"); done
}

# is_adapted SYSTEM: whether it is an adapted voice or face.
is_adapted() { [[ " ${adapted_systems[*]} " == *" $1 "* ]]; }

# read_quality VOICE FACE SET [--without-similarity]: puts the quality tables of a set into the array quality, for avsv fuse
# --method quality. Adapted embeddings also have their similarity to the domain.
read_quality() {
  local table
  # shellcheck disable=SC2034  # read by the recipe
  quality=()
  local voice_tables=(utt2magnitude utt2snr log:utt2dur) face_tables=(utt2magnitude log:utt2sharpness)
  if [[ $1 == *_adapted && $# == 3 ]]; then voice_tables+=(utt2similarity{,_deviation}) face_tables+=(utt2similarity{,_deviation}); fi
  for table in "${voice_tables[@]}"; do quality+=("voice=${table%utt2*}exp/$1/$3/utt2${table#*utt2}"); done
  for table in "${face_tables[@]}"; do quality+=("face=${table%utt2*}exp/$2/$3/utt2${table#*utt2}"); done
}

# damage_of CONF: the key damage of a fusion network's configuration, or of the one that its key base names
damage_of() {
  local damage base
  damage=$(sed -n 's/^damage: *\([a-z0-9]*\).*/\1/p' "$1")
  base=$(sed -n 's/^base: *\([^ ]*\).*/\1/p' "$1")
  if [ -z "$damage" ] && [ -n "$base" ]; then
    case $base in /*) ;; *) base=$(dirname "$1")/$base ;; esac
    damage_of "$base"
  else
    echo "$damage"
  fi
}

# damaged_in SET voice|face EXP_DIR: the entry of this modality in damaged_sets of AVN-E; none if no clip of the set has it damaged
damaged_in() {
  local table=data/$1/utt2damage
  if [ ! -e "$table" ] || grep -q "\"modality\": \"$2\"" "$table"; then echo ", $2: $3/$1/embedding.scp"; fi
}

# measure_noise voice|face EXP_DIR KIND ...: EXP_DIR/noise.npz, how these kinds of damage shift the training embeddings
measure_noise() {
  local kinds=("${@:3}")
  # shellcheck disable=SC2154
  avsv noise-statistics --modality "$1" "${kinds[@]/#/--kind=}" \
    --utt2damage "data/${train_set}_damaged/utt2damage" "$2/$train_set/embedding.scp" \
    "$2/${train_set}_damaged/embedding.scp" "$2/noise.npz"
}

# tenths_of_people SET: data/SET/utt2fold, ten groups of people (or one each, if there are fewer), for avsv adapt --folds
tenths_of_people() {
  awk '{ if (!($2 in fold)) fold[$2] = people++ % 10 + 1; print $1, fold[$2] }' "data/$1/utt2spk" >"data/$1/.utt2fold"
  if cmp -s "data/$1/.utt2fold" "data/$1/utt2fold"; then rm "data/$1/.utt2fold"; else mv "data/$1/.utt2fold" "data/$1/utt2fold"; fi
}

# people_in SET: the number of people in data/SET.
people_in() { cut -d ' ' -f 2 "data/$1/utt2spk" | sort -u | wc -l; }

# need_run: stops if --other-set is a set of the run itself, would overwrite its scores, or a system has not been trained yet.
# $1: the run's test set.
need_run() {
  local system list
  # shellcheck disable=SC2154
  if [[ " $train_set ${train_set}_damaged dev $1 ${all_systems[*]} ${score_fusions[*]} " == *" $other_set "* ]]; then
    echo "${0##*/}: --other-set $other_set: the run has a set or a system of this name; give another one" >&2
    exit 2
  fi
  for list in "data/$other_set/trials/"*; do
    if [ -e "data/$1/trials/${list##*/}" ]; then
      echo "${0##*/}: $list: data/$1 has a list of this name, whose scores would be overwritten; rename this one" >&2
      exit 1
    fi
  done
  for system in "${all_systems[@]}"; do
    if [ ! -e "exp/$system/plda" ]; then
      echo "${0##*/}: --other-set $other_set: needs a finished run with the same options, found no $PWD/exp/$system/plda" >&2
      exit 1
    fi
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

# read_train_options: converts --train-options to an array, with --device in front. Keys that the recipe sets for every
# training are refused: with a different exp_dir, for example, the next stage would use the network of an earlier run.
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
