#!/usr/bin/env bash
# A face from a voice (Wen, Raj and Singh, NeurIPS 2019) on a corpus that this recipe makes for itself, at laptop size.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/voice_to_face/test.
set -euo pipefail
# from_user looks at it
# shellcheck disable=SC2034
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

people=200            # of the corpus; a third of them are test people. More than run.sh has: faces differ in many ways
clips=6               # of each person, in three sessions
show_traits=2         # times as far as in run.sh sex, age and build, which a voice tells as well, move a face
seed=0                # of the corpus
held_out=10           # people kept out of training, whose faces are drawn as it goes: exp/voice_to_face/gan/samples
face=conf/face.yaml   # face network that judges drawn faces: a configuration to train, or an InsightFace pack
face_detector=conf/face_detector.yaml     # finds the faces: a configuration to train, or a pack
voice=conf/voice_embedder.yaml            # configuration of the voice embedder
generator=conf/voice_to_face.yaml         # configuration of generator and critic
seconds=0.5,1,2       # lengths of speech that faces are drawn from, beside all that there is
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=2                  # parallel jobs in stages 0 and 1
stage=0
stop_stage=5
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
face=$(from_user "$face") face_detector=$(from_user "$face_detector")
voice=$(from_user "$voice") generator=$(from_user "$generator")
data=data/voice_to_face exp=exp/voice_to_face
case $face in *.yaml) face_model=$exp/face ;; *) face_model=$face ;; esac
case $face_detector in *.yaml) detector_model=$exp/face_detector ;; *) detector_model=$face_detector ;; esac
read_train_options
at_least 2 held_out "for the trainings are validated on people held out of them"

if stage 0 "the corpus and data directories"; then
  local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --show-traits "$show_traits" --jobs "$nj" \
    $data/corpus
  prepare=../voxceleb/local/prepare_voxceleb2.py
  $prepare --landmarks --held-out "$held_out" --held-out-dir $data/dev $data/corpus $data/train
  $prepare --part test $data/corpus $data/test
  for set in train dev test; do avsv check $data/$set; done
fi

if stage 1 "aligned faces"; then
  case $face_detector in *.yaml)
    # half the epochs, twice the clips of run.sh
    $train_cmd $exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" epochs=5 \
      "${train_options[@]}" data_dir=$data/train exp_dir=$exp/face_detector ;;
  esac
  for set in train dev test; do
    $cpu_cmd "JOB=1:$nj" $exp/align/$set/log/align.JOB.log \
      avsv align-faces --model "$detector_model" --max-skipped "$max_skipped" --shard "JOB/$nj" $data/$set $exp/align/$set
  done
fi

if stage 2 "the face network that judges"; then
  case $face in *.yaml)
    $train_cmd $exp/face/log/train.log avsv train --task face "$face" epochs=20 "${train_options[@]}" \
      data_dir=$data/train exp_dir=$exp/face detector="$detector_model" ;;
  esac
fi

if stage 3 "voice embedder, trained to tell speakers apart"; then
  $train_cmd $exp/voice/log/train.log avsv train --task voice_embedder "$voice" "${train_options[@]}" exp_dir=$exp/voice
fi

if stage 4 "generator and critic"; then
  $train_cmd $exp/gan/log/train.log avsv train --task voice_to_face "$generator" "${train_options[@]}" exp_dir=$exp/gan \
    voice=$exp/voice
fi

if stage 5 "faces of people who were not trained on, and how well they fit"; then
  avsv voice-to-face evaluate --model $exp/gan --face "$face_model" --train $data/train --seconds "$seconds" \
    --device "$device" $data/test $exp/test
fi
