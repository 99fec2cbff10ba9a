#!/usr/bin/env bash
# Does this mouth belong to this sound? The coupled 3D CNN and SyncNet on the corpus of run.sh: trained on its training
# people, tested on its test people. Read it from top to bottom; run a part of it with --stage N --stop-stage M.
# Results are in exp/synchrony.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

people=84             # of the corpus, as for run.sh
clips=8               # of each person, as for run.sh
seed=0                # of the corpus, as for run.sh
held_out=10           # people kept out of training, for validation and thresholds, as for run.sh
coupled=conf/coupled_cnn.yaml            # configuration of the coupled 3D CNN
selections="none fixed adaptive"         # online pair selections that it is trained with, one after the other
syncnet=conf/syncnet.yaml                # configuration of SyncNet
face_detector=conf/face_detector.yaml    # finds the faces of clips with two: a configuration to train, or a pack
shifts="0.1 0.2 0.3 0.4 0.5"             # seconds that the sound of impostors is shifted by in the results
folds=10              # of the test people, that means and deviations are over
pairs=100             # test clips with two faces and one voice
max_skipped=0.05      # share of the clips that may be without a face or too short before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of training and scoring: cpu or cuda
nj=2                  # parallel jobs in stages 0, 1 and 3
stage=0
stop_stage=5
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
coupled=$(from_user "$coupled") syncnet=$(from_user "$syncnet") face_detector=$(from_user "$face_detector")
case $face_detector in *.yaml) detector_model=exp/face_detector ;; *) detector_model=$face_detector ;; esac
read_train_options
at_least 2 held_out "for the threshold is found on clips of two people"
read -ra shifts <<<"$shifts"
systems=(syncnet)
for selection in $selections; do systems+=("coupled_cnn_$selection"); done

if stage 0 "the corpus, and test clips with shifted and replaced sound and with two faces"; then
  bash run.sh --people "$people" --clips "$clips" --seed "$seed" --held-out "$held_out" --nj "$nj" --stop-stage 0
  local/make_synchrony_sets.py --pairs "$pairs" data/test data/synchrony
fi

if stage 1 "mouths"; then
  for set in train dev test synchrony/shifted synchrony/replaced; do
    $cpu_cmd "JOB=1:$nj" "exp/mouths/$set/log/mouths.JOB.log" \
      avsv synchrony mouths --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" "exp/mouths/$set"
  done
fi

if stage 2 "networks: SyncNet, and the coupled 3D CNN with pair selection $selections"; then
  case $face_detector in *.yaml)
    $train_cmd exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" "${train_options[@]}" \
      exp_dir=exp/face_detector ;;
  esac
  $train_cmd exp/syncnet/log/train.log avsv train --task syncnet "$syncnet" "${train_options[@]}" exp_dir=exp/syncnet
  for selection in $selections; do
    name=coupled_cnn_$selection
    $train_cmd "exp/$name/log/train.log" \
      avsv train --task coupled_cnn "$coupled" "${train_options[@]}" selection="$selection" exp_dir="exp/$name"
  done
fi

if stage 3 "distances and offsets"; then
  for system in "${systems[@]}"; do
    for set in test synchrony/shifted synchrony/replaced; do
      $cpu_cmd "JOB=1:$nj" "exp/$system/$set/log/score.JOB.log" \
        avsv synchrony score --model "exp/$system" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
          "data/$set" "exp/$system/$set"
    done
  done
fi

if stage 4 "who is speaking, of two faces"; then
  for system in "${systems[@]}"; do
    $cpu_cmd "exp/$system/synchrony/speakers.log" \
      avsv synchrony active-speaker --model "exp/$system" --device "$device" --face "$detector_model" \
        --table "exp/$system/synchrony/utt2speaker" data/synchrony/two_faces/mp4/*.mp4
  done
fi

if stage 5 "results"; then
  options=()
  for system in "${systems[@]}"; do
    options+=(--system "$system=exp/$system/test" --replaced "exp/$system/synchrony/replaced"
      --offsets data/synchrony/shifted/utt2shift "exp/$system/synchrony/shifted"
      --speakers data/synchrony/two_faces/utt2place "exp/$system/synchrony/utt2speaker")
  done
  mkdir -p exp/synchrony
  avsv synchrony evaluate --utt2spk data/test/utt2spk --folds "$folds" --shift "${shifts[@]}" \
    --json exp/synchrony/results.json "${options[@]}" | tee exp/synchrony/results.txt
fi
