#!/usr/bin/env bash
# AVN-E on this recipe's faces and on voice embeddings of VoxCeleb1 and 2 made by another toolkit (published ECAPA, WeSpeaker,
# ...). It covers the conditions without damaged audio: clean clips, damaged faces, missing modalities.
# Run it after run.sh with --conditions "face-noisy no-voice no-face half-missing". Results are in exp/given_voice/results.
#
# example: local/run_given_voice.sh --embeddings ecapa_embeddings.npz --array ecapa
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

embeddings=           # file for avsv import-embeddings, with training and test clips together
array=                # name of the array with the vectors, if the file has several
ours=conf/avn_e_small.yaml    # configuration of AVN-E
conditions="face-noisy no-voice no-face half-missing"   # test sets that run.sh made
seeds="0 1 2"
stage=1
stop_stage=4
# shellcheck source=../../../utils/parse_options.sh
. ../../utils/parse_options.sh
# shellcheck source=../path.sh
. ./path.sh
# shellcheck source=../cmd.sh
. ./cmd.sh

here=exp/given_voice
sets=(vox1)
for condition in $conditions; do sets+=("vox1_$condition"); done

# score SYSTEM SET SCP: cosine scores of all lists
score() {
  local trials condition=${2#vox1}
  for trials in "data/$2/trials/"*; do
    avsv score --missing 0 --trials "$trials" --enroll "$3" "$here/$1/scores/${trials##*/}${condition:+@${condition#_}}.cosine"
  done
}

if stage 1 "embeddings of each set, for the clips with a voice"; then
  need embeddings
  avsv import-embeddings "$(from_user "$embeddings")" "$here/all" ${array:+--array "$array"} --paths all
  for set in vox2 "${sets[@]}"; do
    mkdir -p "$here/voice/$set"
    # names may begin with the corpus: vox1/id10270/...
    sed 's/^vox[12]-//' "$here/all/embedding.scp" |
      awk 'NR == FNR { has_voice[$1]; next } $1 in has_voice' "data/$set/wav.scp" - >"$here/voice/$set/embedding.scp"
    sed 's/^vox[12]-//' "$here/all/utt2magnitude" >"$here/voice/$set/utt2magnitude"
  done
fi

if stage 2 "AVN-E on them"; then
  for seed in $seeds; do
    # no damaged versions of these voices exist, so they only go missing; faces are damaged as usual
    $train_cmd "$here/avn_e.seed$seed/log/train.log" \
      avsv train --task avn_e "$ours" exp_dir="$here/avn_e.seed$seed" seed="$seed" voice="$here/voice/vox2/embedding.scp" \
        'voice_quality=["log:utt2magnitude"]' \
        'damaged_sets=[{data_dir: data/vox2_damaged, face: exp/face/vox2_damaged/embedding.scp}]'
    for set in "${sets[@]}"; do
      avsv embed-pair --model "$here/avn_e.seed$seed" --voice "$here/voice/$set/embedding.scp" \
        --face "exp/face/$set/embedding.scp" "$here/avn_e.seed$seed/$set"
    done
  done
fi

if stage 3 "scores"; then
  for set in "${sets[@]}"; do
    score voice "$set" "$here/voice/$set/embedding.scp"
    score face "$set" "exp/face/$set/embedding.scp"
    for seed in $seeds; do score "avn_e.seed$seed" "$set" "$here/avn_e.seed$seed/$set/embedding.scp"; done
    condition=${set#vox1}
    for trials in "data/$set/trials/"*; do
      list=${trials##*/}${condition:+@${condition#_}}.cosine
      avsv fuse --missing rest --method mean --trials "$trials" \
        --scores "$here/voice/scores/$list" "$here/face/scores/$list" "$here/mean/scores/$list"
    done
  done
fi

if stage 4 "results"; then
  shown=()
  for condition in clean $conditions; do shown+=(--condition "$condition"); done
  avsv report --trials-dir data/vox1/trials --utt2spk data/vox1/utt2spk --data data/vox1 "${shown[@]}" \
    "$here" "$here/results"
  local/summarize_seeds.py "$here/results/results.json" "$here/seeds.md"
fi
