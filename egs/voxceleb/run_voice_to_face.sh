#!/usr/bin/env bash
# A face from a voice (Wen, Raj and Singh, NeurIPS 2019): train on VoxCeleb2 dev, test on VoxCeleb1's people.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/voice_to_face/TEST_SET.

# This recipe serves every corpus; see the head of run.sh. Here the corpus' file is conf/recipe_voice_to_face.conf, and
# local/prepare_voice_to_face.sh makes the data.
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder

train_set=train       # directory in data/voice_to_face of the training people
test_set=test         # directory in data/voice_to_face of the test people
held_out=40           # people kept out of training; their faces are generated after each epoch: exp/voice_to_face/gan/samples
face=buffalo_l        # judges generated faces: an InsightFace pack or a folder of that form, or a configuration to train
face_detector=        # finds the faces: a pack, or a configuration to train; empty: the pack of --face
front_epochs=         # epochs of the front ends trained here, instead of those in their configurations: "face:20 detector:5"
voice=conf/voice_embedder.yaml        # configuration of the voice embedder
generator=conf/voice_to_face.yaml     # configuration of generator and critic
seconds=1,2,3,5,10    # lengths of speech from which faces are generated, besides the whole clip
frames_per_clip=5     # training faces per clip
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
stage=0
stop_stage=5
RECIPE_CONF=conf/recipe_voice_to_face.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
face=$(from_user "$face") face_detector=$(from_user "$face_detector")
voice=$(from_user "$voice") generator=$(from_user "$generator")
data=data/voice_to_face exp=exp/voice_to_face
face_model=$(trained_or_given $exp/face "$face")
detector_model=$(trained_or_given $exp/face_detector "${face_detector:-$face}")
declare -A epochs=()    # of a front end -> key=value for its training
for pair in $front_epochs; do epochs[${pair%:*}]=epochs=${pair#*:}; done
read_train_options
at_least 2 held_out "for the trainings are validated on people held out of them"

if stage 0 "data directories"; then
  # makes TRAIN_SET, dev (the held-out people) and TEST_SET in data/voice_to_face
  (. local/prepare_voice_to_face.sh)
  for set in "$train_set" dev "$test_set"; do avsv check "$data/$set"; done
fi

if stage 1 "aligned faces"; then
  case $face_detector in *.yaml)
    $train_cmd $exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" ${epochs[detector]:-} \
      "${train_options[@]}" data_dir="$data/$train_set" exp_dir=$exp/face_detector ;;
  esac
  for set in "$train_set" dev "$test_set"; do
    $cpu_cmd "JOB=1:$nj" "$exp/align/$set/log/align.JOB.log" \
      avsv align-faces --model "$detector_model" --frames-per-clip "$frames_per_clip" --max-skipped "$max_skipped" \
        --shard "JOB/$nj" "$data/$set" "$exp/align/$set"
  done
fi

if stage 2 "the face network that judges"; then
  case $face in *.yaml)
    $train_cmd $exp/face/log/train.log avsv train --task face "$face" ${epochs[face]:-} "${train_options[@]}" \
      data_dir="$data/$train_set" exp_dir=$exp/face detector="$detector_model" ;;
  esac
fi

if stage 3 "voice embedder, trained to distinguish speakers"; then
  $train_cmd $exp/voice/log/train.log avsv train --task voice_embedder "$voice" "${train_options[@]}" \
    data_dir="$data/$train_set" valid_dir=$data/dev exp_dir=$exp/voice
fi

if stage 4 "generator and critic"; then
  $train_cmd $exp/gan/log/train.log avsv train --task voice_to_face "$generator" "${train_options[@]}" \
    data_dir="$data/$train_set" valid_dir=$data/dev exp_dir=$exp/gan voice=$exp/voice
fi

if stage 5 "faces of unseen people, and how well they fit"; then
  avsv voice-to-face evaluate --model $exp/gan --face "$face_model" --train "$data/$train_set" --seconds "$seconds" \
    --device "$device" "$data/$test_set" "$exp/$test_set"
fi
