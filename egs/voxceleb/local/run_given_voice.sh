#!/usr/bin/env bash
# The recipe on voice embeddings of VoxCeleb1 and 2 made by another toolkit (published ECAPA, WeSpeaker, ...), which exist for
# undamaged audio only: voices are clean or missing, in training, calibration and test; faces are damaged as usual. A clip
# whose audio is damaged counts as one without a voice.
# Run it after stages 0 to 4 of run.sh. It is a run of its own in exp/given_voice, with links to the run's data and faces;
# arguments after -- are options of run.sh. Results are in exp/given_voice/exp/results.
#
# example: local/run_given_voice.sh --embeddings ecapa_embeddings.npz --array ecapa -- --face PACK --adapt-folds 2
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

options=()
for ((i = 1; i <= $#; i++)); do
  if [ "${!i}" = -- ]; then
    options=("${@:i+1}")
    set -- "${@:1:i-1}"
    break
  fi
done
embeddings=           # file for avsv import-embeddings, with training and test clips together
array=                # name of the array with the vectors, if the file has several
voice=voice           # system of run.sh that measured the noise and the duration of the audio: exp/VOICE
face=face             # system of run.sh that embedded the faces: exp/FACE
fusion=conf/avn_e_small.yaml
conditions="face-noisy no-voice no-face half-missing"   # noisy test sets, without damaged audio
stage=1
stop_stage=3
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../path.sh
. ./path.sh
need embeddings

here=$PWD/exp/given_voice
# recipe OPTION ...: run.sh in that folder
recipe() {
  (cd "$caller" && bash "$here/run.sh" --voice imported --fusion "$fusion" --dev-conditions "clean noisy-0.6 face-noisy" \
    --conditions "$conditions" "${options[@]}" "$@")
}

if stage 1 "a folder with the run's data and faces"; then
  mkdir -p "$here/data" "$here/exp/face"
  # shellcheck disable=SC2016
  printf '. "$(dirname "$0")/../../run.sh"\n' >"$here/run.sh"
  for name in conf local; do ln -sfn "../../$name" "$here/$name"; done
  for set in vox1 vox2 dev dev_noisy-0.6 musan_train musan_dev musan_test; do
    ln -sfn "../../../data/$set" "$here/data/$set"
    if [ -d "exp/$face/$set" ]; then ln -sfn "../../../$face/$set" "$here/exp/face/$set"; fi
  done
  avsv damage --condition face-noisy --seed 1 --noises data/musan_train data/vox2 "$here/data/vox2_damaged"
  avsv damage --condition face-noisy --noises data/musan_dev data/dev "$here/data/dev_face-noisy"
  for condition in $conditions; do
    avsv damage --condition "$condition" --noises data/musan_test data/vox1 "$here/data/vox1_$condition"
  done
fi

if stage 2 "embeddings of each set, for the clips with an undamaged voice"; then
  avsv import-embeddings "$(from_user "$embeddings")" "$here/all" ${array:+--array "$array"} --paths all
  for set in "$here/data/"{vox,dev}*; do
    out=$here/exp/voice/${set##*/} damage=$set/utt2damage
    mkdir -p "$out"
    # clips in wav.scp whose voice is not damaged; imported names may begin with the corpus: vox1/id10270/...
    if [ ! -e "$damage" ]; then damage=/dev/null; fi
    awk 'FILENAME == ARGV[1] { damaged[$1] = /"modality": "voice"/; next } !damaged[$1] { print $1 }' \
      "$damage" "$set/wav.scp" >"$out/clips"
    for table in embedding.scp utt2magnitude utt2snr utt2dur; do
      case $table in
        utt2snr | utt2dur) cat "exp/$voice/"{vox1,vox2,dev}"/$table" ;;
        *) sed 's/^vox[12]-//' "$here/all/$table" ;;
      esac | awk 'NR == FNR { clean[$1] } NR > FNR && $1 in clean' "$out/clips" - >"$out/$table"
    done
  done
fi

if stage 3 "the recipe on them"; then
  recipe --stage 4 --stop-stage 8
  for condition in $conditions; do recipe --condition "$condition" --stage 4 --stop-stage 8; done
  recipe --stage 10 --stop-stage 10
fi
