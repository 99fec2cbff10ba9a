#!/usr/bin/env bash
# Whose face goes with this voice, for people never seen or heard before? Face-voice association on a corpus that this
# recipe makes for itself: more people than run.sh's, whose voice and face share sex, age and build, as in life.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/association/results.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

people=240            # of the corpus; a third of them are unseen and unheard in training
clips=6               # of each person, in three sessions; the last session of training people is the set "seen"
show_traits=2         # times as far as in run.sh sex, age and build, which a voice tells as well, move a face
seed=1                # of the corpus
split="140 20 80"     # people for training, validation, unseen test
voice=conf/voice.yaml # run.sh's voice front end: configuration to train, or a SpeechBrain source, or a folder such as exp/voice
face=conf/face.yaml   # run.sh's face front end: configuration to train, or an InsightFace pack, or a folder such as exp/face
face_detector=conf/face_detector.yaml     # finds the faces: a configuration, or a pack
front_epochs="voice:5 face:30 detector:7" # of the front ends: there are three times as many clips as in run.sh
systems="infonce fop ssnet dimnet pins svhf"   # on the front ends' embeddings: conf/association/SYSTEM.yaml
heads="no-fusion ce-only cosine-only full"     # of the single-stream network: its ablation; empty: leave it out
frames_per_clip=3     # faces of a clip
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
trust_model=false     # run the program of a voice model that is not recognised, see avsv embed-voice --help
train_options=        # more key=value for every avsv train, such as "epochs=1"
resamples=1000        # of people, for the intervals
device=cpu            # of embeddings and training: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=2                  # parallel jobs in stages 0, 1 and 2
stage=0
stop_stage=7
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
voice=$(from_user "$voice") face=$(from_user "$face") face_detector=$(from_user "$face_detector")
read_train_options
trust=()
if $trust_model; then trust=(--trust-model); fi
read -ra split <<<"$split"
data=data/association exp=exp/association
case $voice in *.yaml) voice_model=$exp/front_voice ;; *) voice_model=$voice ;; esac
case $face in *.yaml) face_model=$exp/front_face ;; *) face_model=$face ;; esac
case $face_detector in *.yaml) detector_model=$exp/front_detector ;; *) detector_model=$face_detector ;; esac
# epochs_of NAME: of a front end
epochs_of() { local pair; for pair in $front_epochs; do if [ "${pair%:*}" = "$1" ]; then echo "epochs=${pair#*:}"; fi; done; }
sets=(train seen valid unseen)
tests=(unseen seen)

if stage 0 "the corpus, the sets of people and their lists"; then
  local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --show-traits "$show_traits" --jobs "$nj" \
    corpus_association
  prepare=../voxceleb/local
  $prepare/prepare_voxceleb2.py --landmarks corpus_association $data/corpus_dev
  $prepare/prepare_voxceleb2.py --landmarks --part test corpus_association $data/corpus_test
  local/describe_people.py corpus_association $data/corpus_dev $data/corpus_test
  $prepare/prepare_association.py --counts "${split[@]}" $data/corpus_dev $data/corpus_test $data
  $prepare/prepare_musan.py corpus_association/musan corpus_association/RIRS_NOISES $data/musan
  for set in "${sets[@]}" musan; do avsv check $data/$set; done
  for set in "${tests[@]}"; do avsv association lists $data/$set $exp/lists/$set; done
fi

if stage 1 "front ends, trained on the training people"; then
  case $voice in *.yaml)
    $train_cmd $exp/front_voice/log/train.log avsv train --task voice "$voice" data_dir=$data/train noise_dir=$data/musan \
      exp_dir=$exp/front_voice "$(epochs_of voice)" "${train_options[@]}" ;;
  esac
  case $face_detector in *.yaml)
    $train_cmd $exp/front_detector/log/train.log avsv train --task face_detector "$face_detector" data_dir=$data/train \
      exp_dir=$exp/front_detector "$(epochs_of detector)" "${train_options[@]}" ;;
  esac
  for set in "${sets[@]}"; do
    $embed_cmd "JOB=1:$nj" $exp/align/$set/log/align.JOB.log \
      avsv align-faces --model "$detector_model" --device "$device" --max-skipped "$max_skipped" \
        --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" $data/$set $exp/align/$set
  done
  case $face in *.yaml)
    $train_cmd $exp/front_face/log/train.log avsv train --task face "$face" data_dir=$data/train detector="$detector_model" \
      exp_dir=$exp/front_face "$(epochs_of face)" "${train_options[@]}" ;;
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
    $train_cmd $exp/$system/log/train.log avsv train --task association conf/association/$system.yaml \
      "${train_options[@]}" exp_dir=$exp/$system
    for set in "${tests[@]}"; do
      # svhf tells which one of N it is and embeds nothing: it takes the front ends' embeddings in stage 6
      [ "$system" = svhf ] || avsv association embed --model $exp/$system \
        --voice $exp/voice/$set/embedding.scp --face $exp/face/$set/embedding.scp $exp/$system/$set
    done
  done
fi

if stage 4 "the single-stream network: one Inception-ResNet for faces and spectrograms"; then
  if [ -n "$heads" ]; then
    $train_cmd $exp/single_stream/log/train.log avsv train --task association_media \
      conf/association/single_stream.yaml "${train_options[@]}" exp_dir=$exp/single_stream
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
    $train_cmd $exp/single_stream_$head/log/train.log avsv train --task association conf/association/single_stream_head.yaml \
      exp_dir=$exp/single_stream_$head "${options[@]}" "${train_options[@]}"
    for set in "${tests[@]}"; do
      avsv association embed --model $exp/single_stream_$head --voice $exp/single_stream/$set/voice.scp \
        --face $exp/single_stream/$set/face.scp $exp/single_stream_$head/$set
    done
  done
fi

if stage 6 "verification, matching, retrieval: ${tests[*]}"; then
  for set in "${tests[@]}"; do
    measure=(avsv association evaluate --lists "$exp/lists/$set" --utt2spk "$data/$set/utt2spk" --resamples "$resamples")
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
