#!/usr/bin/env bash
# Does this mouth belong to this sound? The coupled 3D CNN and SyncNet on VoxCeleb2 or LRW.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/synchrony.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

voxceleb2=            # folder with dev/aac/, dev/mp4/, test/... and vox2_meta.csv; this one,
lrw=                  # or LRW's lipread_mp4/ with WORD/{train,val,test}/*.mp4
held_out=40           # people of VoxCeleb2's dev kept out of training, for validation and thresholds
face_detector=buffalo_l   # pack whose detector finds the faces, by name or folder
coupled=conf/coupled_cnn.yaml   # configuration of the coupled 3D CNN
syncnet=conf/syncnet.yaml       # configuration of SyncNet
shifts="0.2 0.4"      # seconds that the sound of impostors is shifted by in the results
folds=10              # of the test people
max_skipped=0.05      # share of the clips that may be without a face or too short before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of face detection, training and scoring: cpu or cuda
nj=4                  # parallel jobs in stages 1 and 3
stage=0
stop_stage=4
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
voxceleb2=$(from_user "$voxceleb2") lrw=$(from_user "$lrw") face_detector=$(from_user "$face_detector")
coupled=$(from_user "$coupled") syncnet=$(from_user "$syncnet")
read_train_options
at_least 2 held_out "for the threshold is found on clips of two people"
read -ra shifts <<<"$shifts"

if stage 0 "data directories"; then
  if [ -n "$lrw" ]; then
    for part in train:train val:dev test:test; do
      local/prepare_lrw.py --part "${part%:*}" "$lrw" "data/sync_${part#*:}"
    done
  else
    need voxceleb2
    local/prepare_voxceleb2.py --held-out "$held_out" --held-out-dir data/sync_dev "$voxceleb2" data/sync_train
    local/prepare_voxceleb2.py --part test "$voxceleb2" data/sync_test
  fi
  for set in train dev test; do avsv check "data/sync_$set"; done
fi

if stage 1 "mouths"; then
  for set in train dev test; do
    $cpu_cmd "JOB=1:$nj" "exp/mouths/$set/log/mouths.JOB.log" \
      avsv synchrony mouths --model "$face_detector" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
        "data/sync_$set" "exp/mouths/$set"
  done
fi

if stage 2 "networks"; then
  $train_cmd exp/syncnet/log/train.log avsv train --task syncnet "$syncnet" "${train_options[@]}" exp_dir=exp/syncnet
  $train_cmd exp/coupled_cnn/log/train.log avsv train --task coupled_cnn "$coupled" "${train_options[@]}" \
    exp_dir=exp/coupled_cnn
fi

if stage 3 "distances and offsets"; then
  for system in syncnet coupled_cnn; do
    $cpu_cmd "JOB=1:$nj" "exp/$system/test/log/score.JOB.log" \
      avsv synchrony score --model "exp/$system" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
        data/sync_test "exp/$system/test"
  done
fi

if stage 4 "results"; then
  mkdir -p exp/synchrony
  avsv synchrony evaluate --utt2spk data/sync_test/utt2spk --folds "$folds" --shift "${shifts[@]}" \
    --json exp/synchrony/results.json --system exp/syncnet/test --system exp/coupled_cnn/test |
    tee exp/synchrony/results.txt
fi
