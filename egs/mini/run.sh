#!/usr/bin/env bash
# Audio-visual person verification on a corpus that this recipe makes for itself: talking people, minutes on a laptop.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/results.
set -euo pipefail
options=("$@")
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"
recipe=$PWD

people=84             # of the corpus; a third of them are test people
clips=8               # of each person, in four sessions
seed=0                # of the corpus
voice=conf/voice.yaml # configuration to train, or a SpeechBrain source, or a folder of that form
face=conf/face.yaml   # configuration to train, or an InsightFace pack, or a folder of that form
face_detector=conf/face_detector.yaml     # finds the faces that conf/face.yaml trains on: a configuration, or a pack
fusion=conf/avn_e.yaml                    # configuration of the fusion network
held_out=10           # people kept out of all training, for calibration and score fusion; their clips are damaged, too
frames_per_clip=3     # faces embedded and averaged
face_pool=            # conf/face_pool.yaml: a clip's faces are pooled by attention on their quality; empty: averaged
conditions=noisy-0.6  # noisy test sets that stage 9 makes, such as "noisy-0.6 no-voice snr-5": see avsv damage --help
top_n=300             # cohort members of as-norm
synchrony=            # a network of run_synchrony.sh, such as exp/syncnet: stage 4 marks clips whose face is not the speaker's
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
trust_model=false     # run the program of a voice model that is not recognised, see avsv embed-voice --help
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of embeddings and training: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=2                  # parallel jobs in stages 0, 1, 3, 4 and 9
test_set=test         # data/ directory that stages 3, 4 and 6-10 test on
condition=            # of the noisy version of it that stages 3, 4 and 6-8 are for; stage 9 calls them so for each of its conditions
stage=0
stop_stage=10
. ../../utils/parse_options.sh
. ./path.sh
. ./cmd.sh

# What follows from the options, the same in every stage.
voice=$(from_user "$voice") face=$(from_user "$face") fusion=$(from_user "$fusion")
face_detector=$(from_user "$face_detector") synchrony=$(from_user "$synchrony")
case $voice in *.yaml) voice_model=exp/voice ;; *) voice_model=$voice ;; esac
case $face in *.yaml) face_model=exp/face ;; *) face_model=$face ;; esac
case $face_detector in *.yaml) detector_model=exp/face_detector ;; *) detector_model=$face_detector ;; esac
face_pool=$(from_user "$face_pool") pool=(${face_pool:+--pool exp/face_pool})
read_train_options
trust=()
if $trust_model; then trust=(--trust-model); fi
# Of every set the same number of faces a clip is embedded; the face network trains on five or more.
aligned_frames=$((frames_per_clip > 5 ? frames_per_clip : 5))
at_least 2 held_out "for calibration is trained on trials between people who are in no training"
# A noisy version of the test set is scored by the models that are there; what its clips share with the clean set is not
# embedded again.
others=(train train_damaged dev_noisy) tested=$test_set reuse_voice=() reuse_face=()
if [ -n "$condition" ]; then
  if [ "$stage" -lt 3 ] || [ "$stop_stage" -gt 8 ]; then
    echo "run.sh: --condition $condition: goes with stages 3 to 8; the other ones are of the clean set" >&2
    exit 2
  fi
  others=() tested=${test_set}_$condition
  reuse_voice=(--reuse "exp/voice/$test_set") reuse_face=(--reuse "exp/face/$test_set")
fi
# scores_of SYSTEM SET LIST: its score files, without the back-end; those of the held-out people stay out of the results
scores_of() { if [ "$2" = dev_noisy ]; then echo "exp/$1/dev_noisy/$3"; else echo "exp/$1/scores/$3${condition:+@$condition}"; fi; }

if stage 0 "the corpus, data directories and trial lists"; then
  local/make_corpus.py --people "$people" --clips "$clips" --seed "$seed" --jobs "$nj" corpus
  prepare=../voxceleb/local
  $prepare/prepare_voxceleb2.py --landmarks --held-out "$held_out" --held-out-dir data/dev corpus data/train
  $prepare/prepare_voxceleb2.py --landmarks --part test --trials corpus/test/veri_test2.txt corpus data/test
  $prepare/prepare_musan.py corpus/musan corpus/RIRS_NOISES data/musan
  avsv damage --condition noisy-0.6 --noises data/musan data/dev data/dev_noisy
  for set in train dev dev_noisy test musan; do avsv check data/$set; done
fi

if stage 1 "filter banks and voice activity"; then
  for set in train dev test; do
    $cpu_cmd "JOB=1:$nj" exp/fbank/$set/log/fbank.JOB.log \
      avsv fbank --max-skipped "$max_skipped" --shard "JOB/$nj" data/$set exp/fbank/$set
  done
fi

if stage 2 "voice and face front ends"; then
  case $voice in *.yaml)
    $train_cmd exp/voice/log/train.log avsv train --task voice "$voice" "${train_options[@]}" exp_dir=exp/voice ;;
  esac
  case $face_detector in *.yaml)
    $train_cmd exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" "${train_options[@]}" \
      exp_dir=exp/face_detector ;;
  esac
  case $face in *.yaml)
    $cpu_cmd "JOB=1:$nj" exp/align/train/log/align.JOB.log \
      avsv align-faces --model "$detector_model" --max-skipped "$max_skipped" --frames-per-clip "$aligned_frames" \
        --shard "JOB/$nj" data/train exp/align/train
    $train_cmd exp/face/log/train.log avsv train --task face "$face" "${train_options[@]}" exp_dir=exp/face \
      detector="$detector_model" ;;
  esac
  # for the fusion network to learn from; here, so that its faces are those that were just aligned
  avsv damage --condition both-noisy --seed 1 --noises data/musan data/train data/train_damaged
fi

if stage 3 "voice embeddings"; then
  for set in "$tested" "${others[@]}"; do
    $embed_cmd "JOB=1:$nj" "exp/voice/$set/log/embed.JOB.log" \
      avsv embed-voice "${trust[@]}" --model "$voice_model" --device "$device" --max-skipped "$max_skipped" \
        "${reuse_voice[@]}" --shard "JOB/$nj" "data/$set" "exp/voice/$set"
  done
fi

if stage 4 "face embeddings"; then
  if [ -n "$face_pool" ] && [ -z "$condition" ]; then
    # the attention learns from clean and damaged faces of the held-out people
    avsv damage --condition face-noisy data/dev data/dev_face-noisy
    for set in dev dev_face-noisy; do
      $embed_cmd "JOB=1:$nj" "exp/face/$set/log/embed.JOB.log" \
        avsv embed-face --model "$face_model" --device "$device" --max-skipped "$max_skipped" --keep-faces \
          --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" "data/$set" "exp/face/$set"
    done
    $train_cmd exp/face_pool/log/train.log avsv train --task face_pool "$face_pool" "${train_options[@]}" \
      exp_dir=exp/face_pool
  fi
  for set in "$tested" "${others[@]}"; do
    $embed_cmd "JOB=1:$nj" "exp/face/$set/log/embed.JOB.log" \
      avsv embed-face --model "$face_model" --device "$device" --max-skipped "$max_skipped" "${pool[@]}" \
        --frames-per-clip "$frames_per_clip" "${reuse_face[@]}" --shard "JOB/$nj" "data/$set" "exp/face/$set"
  done
  # data/SET/utt2speaking: is the face the speaker's, yes or no; of clean sets, for a noisy one has the same mouths
  if [ -n "$synchrony" ] && [ -z "$condition" ]; then
    for set in "$test_set" train; do
      $cpu_cmd "JOB=1:$nj" "exp/mouths_found/$set/log/mouths.JOB.log" \
        avsv synchrony mouths --model "$detector_model" --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" \
          "exp/mouths_found/$set"
      avsv synchrony score --model "$synchrony" --device "$device" --max-skipped "$max_skipped" "data/$set" \
        "exp/speaking/$set"
    done
  fi
fi

if stage 5 "fusion network"; then
  $train_cmd exp/avn_e/log/train.log avsv train --task avn_e "$fusion" "${train_options[@]}" exp_dir=exp/avn_e
fi

if stage 6 "fused embeddings"; then
  for set in "$tested" "${others[@]}"; do
    avsv embed-pair --model exp/avn_e --voice "exp/voice/$set/embedding.scp" --face "exp/face/$set/embedding.scp" \
      "exp/avn_e/$set"
  done
fi

if stage 7 "scores: cosine and PLDA"; then
  for system in voice face avn_e; do
    if [ -z "$condition" ]; then
      avsv plda --embeddings exp/$system/train/embedding.scp --utt2spk data/train/utt2spk exp/$system/plda
    fi
    for set in ${others[0]:+dev_noisy} "$tested"; do
      for trials in "data/$set/trials/"*; do
        # --missing 0: a trial that lacks a voice or a face gets the score 0, and is counted and listed
        for backend in cosine plda; do
          avsv score --backend $backend --plda exp/$system/plda --missing 0 --trials "$trials" \
            --enroll "exp/$system/$set/embedding.scp" "$(scores_of $system "$set" "${trials##*/}").$backend"
        done
        if [ $system = avn_e ]; then   # by what both clips have: voice with voice, face with face
          avsv score --weights "exp/avn_e/$set/weights" --missing 0 --trials "$trials" \
            --enroll "exp/avn_e/$set/embedding.scp" "$(scores_of avn_e "$set" "${trials##*/}").cosine_shared"
        fi
      done
    done
  done
fi

if stage 8 "score normalisation, calibration and score fusion"; then
  for system in voice face avn_e; do
    for set in ${others[0]:+dev_noisy} "$tested"; do
      for trials in "data/$set/trials/"*; do
        scores=$(scores_of $system "$set" "${trials##*/}")
        avsv normalize --method as-norm --top-n "$top_n" --missing keep --trials "$trials" --scores "$scores.cosine" \
          --enroll "exp/$system/$set/embedding.scp" --cohort exp/$system/train/embedding.scp "$scores.cosine_as-norm"
      done
    done
  done
  # What is trained here is trained on the held-out people. --missing rest: a trial is judged by the modalities that it
  # has; without any its log-likelihood ratio is 0.
  for trials in "data/$tested/trials/"*; do
    list=${trials##*/}${condition:+@$condition}
    for scores in voice:cosine_as-norm face:cosine_as-norm avn_e:cosine_as-norm avn_e:cosine_shared; do
      system=${scores%:*} backend=${scores#*:}
      avsv calibrate --missing rest --trials "$trials" --scores "exp/$system/scores/$list.$backend" \
        --train-trials data/dev_noisy/trials/dev --train-scores "exp/$system/dev_noisy/dev.$backend" \
        "exp/$system/scores/$list.${backend}_calibrated"
    done
    fuse=(avsv fuse --missing rest --trials "$trials" --scores "exp/voice/scores/$list.cosine" "exp/face/scores/$list.cosine")
    "${fuse[@]}" --method mean "exp/mean/scores/$list.cosine"
    fuse+=(--method logistic --train-trials data/dev_noisy/trials/dev
      --train-scores exp/voice/dev_noisy/dev.cosine exp/face/dev_noisy/dev.cosine)
    "${fuse[@]}" "exp/logistic/scores/$list.cosine"
    # knowing how good the clips are: magnitudes of both embeddings, noise in the sound, sharpness of the face
    "${fuse[@]}" --quality exp/voice/"$tested"/utt2{magnitude,snr} "exp/face/$tested/utt2magnitude" \
        "log:exp/face/$tested/utt2sharpness" \
      --train-quality exp/voice/dev_noisy/utt2{magnitude,snr} exp/face/dev_noisy/utt2magnitude \
        log:exp/face/dev_noisy/utt2sharpness "exp/logistic/scores/$list.cosine_qmf"
  done
fi

if stage 9 "noisy test sets: $conditions"; then
  for name in $conditions; do
    avsv damage --condition "$name" --noises data/musan "data/$test_set" "data/${test_set}_$name"
    (cd "$caller" && bash "$recipe/run.sh" "${options[@]}" --condition "$name" --stage 3 --stop-stage 8)
  done
fi

if stage 10 "results"; then
  # another toolkit's score file, as exp/NAME/scores/test.cosine, is shown and compared like our own
  data=data/$test_set shown=()
  for name in clean $conditions; do shown+=(--condition "$name"); done
  for table in spk2gender utt2dur ${synchrony:+utt2speaking}; do
    if [ -e "$data/$table" ]; then shown+=(--by "$data/$table"); fi
  done
  avsv report --trials-dir "$data/trials" --utt2spk "$data/utt2spk" "${shown[@]}" exp exp/results
fi
