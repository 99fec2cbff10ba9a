#!/usr/bin/env bash
# Which face belongs to this voice, for people outside the training set? Face-voice association on VoxCeleb1: 901 people
# for training, 100 for validation, 250 unseen and unheard. It uses the data and front ends of stages 0 to 2 of run.sh.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/association/results.

# This recipe serves every corpus; see the head of run.sh. Here the corpus' file is conf/recipe_association.conf, and
# local/prepare_association.sh makes the data.
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder

split=                # how many people for training, validation and unseen test, drawn with a seed: "46 6 22"
lists=                # folder of published lists (veriflist/, matching/, retrieval/), measured beside those drawn here
voice=speechbrain/spkrec-ecapa-voxceleb   # voice front end: a SpeechBrain source or folder, such as exp/voice, or a configuration to train
face=buffalo_l        # face front end: an InsightFace pack or a folder, such as exp/face, or a configuration to train
face_detector=        # finds the faces: a pack, or a configuration to train; empty: the pack of --face
front_epochs=         # epochs of the front ends trained here, instead of those in their configurations: "voice:5 face:30 detector:7"
conf=conf/association # configurations of the systems: conf/association/small is for a few dozen people and a laptop
systems="infonce fop ssnet dimnet pins svhf"   # on the front ends' embeddings
heads="no-fusion ce-only cosine-only full"     # of the single-stream network: its ablation; empty: leave it out
frames_per_clip=5     # faces of a clip
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
trust_model=false     # run the program of a voice model that is not recognised, see avsv embed-voice --help
train_options=        # more key=value for every avsv train, such as "epochs=1"
resamples=1000        # random assignments of people, for the p-values
device=cpu            # of embeddings and training: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
stage=0
stop_stage=7
RECIPE_CONF=conf/recipe_association.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
lists=$(from_user "$lists") conf=$(from_user "$conf")
voice=$(from_user "$voice") face=$(from_user "$face") face_detector=$(from_user "$face_detector")
read_train_options
declare -A epochs=()    # of a front end -> key=value for its training
for pair in $front_epochs; do epochs[${pair%:*}]=epochs=${pair#*:}; done
trust=()
if $trust_model; then trust=(--trust-model); fi
data=data/association exp=exp/association
voice_model=$(trained_or_given $exp/front_voice "$voice")
face_model=$(trained_or_given $exp/front_face "$face")
detector_model=$(trained_or_given $exp/front_detector "${face_detector:-$face}")
sets=(train seen valid unseen)
tests=(unseen seen)
if [ -n "$lists" ]; then sets+=(listed) tests+=(listed); fi

if stage 0 "the sets of people and their lists"; then
  # makes data/association/{train,seen,valid,unseen}: the clips of "seen" show training people in another session;
  # and data/association/musan_* for a voice front end that is trained here, data/association/listed for --lists
  (. local/prepare_association.sh)
  for set in "${sets[@]}"; do avsv check $data/$set; done
  for set in unseen seen; do avsv association lists $data/$set $exp/lists/$set; done
  if [ -n "$lists" ]; then
    mkdir -p $exp/lists
    ln -sfn "$(cd "$lists" && pwd)" $exp/lists/listed
  fi
fi

if stage 1 "front ends, trained on the training people, and aligned faces"; then
  case $voice in *.yaml)
    $train_cmd $exp/front_voice/log/train.log avsv train --task voice "$voice" ${epochs[voice]:-} \
      "${train_options[@]}" data_dir=$data/train noise_dir=$data/musan_train exp_dir=$exp/front_voice ;;
  esac
  case $face_detector in *.yaml)
    $train_cmd $exp/front_detector/log/train.log avsv train --task face_detector "$face_detector" \
      ${epochs[detector]:-} "${train_options[@]}" data_dir=$data/train exp_dir=$exp/front_detector ;;
  esac
  for set in "${sets[@]}"; do
    $embed_cmd "JOB=1:$nj" $exp/align/$set/log/align.JOB.log \
      avsv align-faces --model "$detector_model" --device "$device" --max-skipped "$max_skipped" \
        --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" $data/$set $exp/align/$set
  done
  case $face in *.yaml)
    $train_cmd $exp/front_face/log/train.log avsv train --task face "$face" ${epochs[face]:-} \
      "${train_options[@]}" data_dir=$data/train detector="$detector_model" exp_dir=$exp/front_face ;;
  esac
fi

if stage 2 "voice and face embeddings"; then
  for set in "${sets[@]}"; do
    $embed_cmd "JOB=1:$nj" $exp/voice/$set/log/embed.JOB.log \
      avsv embed-voice "${trust[@]}" --model "$voice_model" --device "$device" --max-skipped "$max_skipped" \
        --shard "JOB/$nj" $data/$set $exp/voice/$set
    $embed_cmd "JOB=1:$nj" $exp/face/$set/log/embed.JOB.log \
      avsv embed-face --model "$face_model" --device "$device" --max-skipped "$max_skipped" \
        --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" $data/$set $exp/face/$set
  done
fi

if stage 3 "systems on the front ends' embeddings: $systems"; then
  for system in $systems; do
    $train_cmd $exp/$system/log/train.log avsv train --task association "$conf/$system.yaml" \
      "${train_options[@]}" exp_dir=$exp/$system
    for set in "${tests[@]}"; do
      # svhf picks one of N candidates and does not embed: stage 6 gives it the front ends' embeddings
      [ "$system" = svhf ] || avsv association embed --model $exp/$system \
        --voice $exp/voice/$set/embedding.scp --face $exp/face/$set/embedding.scp $exp/$system/$set
    done
  done
fi

if stage 4 "the single-stream network: one Inception-ResNet for faces and spectrograms"; then
  if [ -n "$heads" ]; then
    $train_cmd $exp/single_stream/log/train.log avsv train --task association_media \
      "$conf/single_stream.yaml" "${train_options[@]}" exp_dir=$exp/single_stream
    for set in train "${tests[@]}"; do
      avsv association embed --model $exp/single_stream --device "$device" --max-skipped "$max_skipped" \
        --data $data/$set $exp/single_stream/$set
    done
  fi
fi

if stage 5 "heads of the single-stream network: $heads"; then
  for head in $heads; do
    case $head in
      no-fusion) options=(fusion=none) ;;   # FOP's loss on the transformed vectors; the trunk alone is single_stream
      ce-only) options=(alpha=0) ;;
      cosine-only) options=(ce_weight=0) ;;
      full) options=() ;;
    esac
    $train_cmd $exp/single_stream_$head/log/train.log avsv train --task association "$conf/single_stream_head.yaml" \
      exp_dir=$exp/single_stream_$head "${options[@]}" "${train_options[@]}"
    for set in "${tests[@]}"; do
      avsv association embed --model $exp/single_stream_$head --voice $exp/single_stream/$set/voice.scp \
        --face $exp/single_stream/$set/face.scp $exp/single_stream_$head/$set
    done
  done
fi

if stage 6 "verification, matching, retrieval: ${tests[*]}"; then
  for set in "${tests[@]}"; do
    measure=(avsv association evaluate --lists "$exp/lists/$set" --resamples "$resamples")
    if [ "$set" = listed ]; then measure+=(--ids "$data/ids"); else measure+=(--utt2spk "$data/$set/utt2spk"); fi
    for system in $systems ${heads:+single_stream} $heads; do
      case $system in
        svhf) ends=(--odd-one-out "$exp/svhf" --voice "$exp/voice/$set/embedding.scp" --face "$exp/face/$set/embedding.scp") ;;
        no-fusion | ce-only | cosine-only | full) system=single_stream_$system ;;
      esac
      [ "$system" = svhf ] || ends=(--voice "$exp/$system/$set/voice.scp" --face "$exp/$system/$set/face.scp")
      "${measure[@]}" "${ends[@]}" "$exp/$system/measures/$set.json"
    done
  done
fi

if stage 7 "results"; then
  avsv association report $exp $data $exp/results
fi
