#!/usr/bin/env bash
# Does this mouth belong to this audio? The coupled 3D CNN and SyncNet on VoxCeleb2 or LRW.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/synchrony.

# This recipe serves every corpus; see the head of run.sh. Here the corpus' file is conf/recipe_synchrony.conf, and
# local/prepare_synchrony.sh makes the data.
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder

train_set=train       # data/ directory of the training people
valid_set=dev         # data/ directory of people kept out of training, for validation and thresholds
test_set=test         # data/ directory of the test people
held_out=40           # people of the validation set, if the training people are split
coupled=conf/coupled_cnn.yaml   # configuration of the coupled 3D CNN
selections=           # online pair selections that it is trained with, one network each: "none fixed adaptive"; empty: as configured
syncnet=conf/syncnet.yaml       # configuration of SyncNet
face_detector=buffalo_l   # finds the faces, in clips with two and if the corpus has no key points: a pack, or a configuration to train
shifts="0.2 0.4"      # shifts of the impostors' audio in the results, in seconds
folds=10              # folds of the test people, for means and standard deviations
max_skipped=0.05      # share of the clips that may be without a face or too short before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of face detection, training and scoring: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
stage=0
stop_stage=5
RECIPE_CONF=conf/recipe_synchrony.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
coupled=$(from_user "$coupled") syncnet=$(from_user "$syncnet") face_detector=$(from_user "$face_detector")
detector_model=$(trained_or_given exp/face_detector "$face_detector")
read_train_options
at_least 2 held_out "for the threshold is found on clips of two people"
read -ra shifts <<<"$shifts"
read -ra selections <<<"$selections"
systems=(syncnet coupled_cnn)
if [ -n "${selections[*]}" ]; then systems=(syncnet "${selections[@]/#/coupled_cnn_}"); fi
# made_sets SET ...: prints the sets that exist. data/synchrony/shifted, replaced and two_faces are optional test sets.
made_sets() { local set; for set in "$@"; do if [ -e "data/$set" ]; then echo "$set"; fi; done; }

if stage 0 "data directories"; then
  # makes data/TRAIN_SET, VALID_SET and TEST_SET, and the test sets with shifted audio, replaced audio or two faces
  (. local/prepare_synchrony.sh)
  for set in "$train_set" "$valid_set" "$test_set"; do avsv check "data/$set"; done
fi

if stage 1 "mouths"; then
  for set in "$train_set" "$valid_set" "$test_set" $(made_sets synchrony/shifted synchrony/replaced); do
    model=(--model "$detector_model" --device "$device")
    if [ -e "data/$set/landmarks.scp" ]; then model=(); fi   # the corpus' own key points
    $cpu_cmd "JOB=1:$nj" "exp/mouths/$set/log/mouths.JOB.log" \
      avsv synchrony mouths "${model[@]}" --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" "exp/mouths/$set"
  done
fi

if stage 2 "networks: ${systems[*]}"; then
  case $face_detector in *.yaml)
    $train_cmd exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" "${train_options[@]}" \
      data_dir="data/$train_set" exp_dir=exp/face_detector ;;
  esac
  for system in "${systems[@]}"; do
    case $system in
      syncnet)
        $train_cmd exp/syncnet/log/train.log avsv train --task syncnet "$syncnet" "${train_options[@]}" \
          data_dir="data/$train_set" valid_dir="data/$valid_set" exp_dir=exp/syncnet ;;
      *)
        selection=${system#coupled_cnn}
        $train_cmd "exp/$system/log/train.log" avsv train --task coupled_cnn "$coupled" "${train_options[@]}" \
          ${selection:+selection="${selection#_}"} data_dir="data/$train_set" valid_dir="data/$valid_set" \
          exp_dir="exp/$system" ;;
    esac
  done
fi

if stage 3 "distances and offsets"; then
  for system in "${systems[@]}"; do
    for set in "$test_set" $(made_sets synchrony/shifted synchrony/replaced); do
      $cpu_cmd "JOB=1:$nj" "exp/$system/$set/log/score.JOB.log" \
        avsv synchrony score --model "exp/$system" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
          "data/$set" "exp/$system/$set"
    done
  done
fi

if stage 4 "who is speaking, of two faces"; then
  if [ -n "$(made_sets synchrony/two_faces)" ]; then
    for system in "${systems[@]}"; do
      $cpu_cmd "exp/$system/synchrony/speakers.log" \
        avsv synchrony active-speaker --model "exp/$system" --device "$device" --face "$detector_model" \
          --table "exp/$system/synchrony/utt2speaker" data/synchrony/two_faces/mp4/*.mp4
    done
  fi
fi

if stage 5 "results"; then
  options=()
  for system in "${systems[@]}"; do
    options+=(--system "$system=exp/$system/$test_set")
    for set in $(made_sets synchrony/replaced synchrony/shifted synchrony/two_faces); do
      case $set in
        */replaced) options+=(--replaced "exp/$system/$set") ;;
        */shifted) options+=(--offsets "data/$set/utt2shift" "exp/$system/$set") ;;
        */two_faces) options+=(--speakers "data/$set/utt2place" "exp/$system/synchrony/utt2speaker") ;;
      esac
    done
  done
  mkdir -p exp/synchrony
  avsv synchrony evaluate --utt2spk "data/$test_set/utt2spk" --folds "$folds" --shift "${shifts[@]}" \
    --json exp/synchrony/results.json "${options[@]}" | tee exp/synchrony/results.txt
fi
