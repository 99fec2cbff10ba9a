#!/usr/bin/env bash
# Audio-visual person verification on VoxCeleb: train on VoxCeleb2 dev, test on VoxCeleb1 (O, E, H).
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/results.

# This recipe serves every corpus. The run.sh of another corpus, such as egs/mini, sources this file; its conf/recipe.conf
# changes the defaults below and adds options, and its local/prepare.sh makes the data directories.
set -euo pipefail
options=("$@")
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder, with conf/, local/, data/ and exp/

train_set=train       # data/ directory of the training people
test_set=test         # data/ directory that stages 3, 4 and 6-10 test on
voice=(speechbrain/spkrec-ecapa-voxceleb)   # [NAME=]SOURCE, repeatable: a SpeechBrain source, a folder of that form, a configuration to train (conf/voice.yaml), FILE.onnx, your own FILE.py:CLASS, or A+B, earlier ones side by side; NAME: voice
face=(buffalo_l)      # [NAME=]SOURCE, repeatable: an InsightFace pack, a folder of that form, a configuration to train (conf/face.yaml), or A+B, earlier ones side by side; NAME: face
face_detector=buffalo_l   # finds the faces that conf/face.yaml trains on: a pack, or a configuration to train
fusion=(conf/avn_e.yaml)  # [NAME=]CONF[:VOICE+FACE], repeatable: fusion network and what it fuses (the first voice and face); NAME: avn_e
held_out=40           # training people kept out of all training, for calibration and score fusion; with published encoders, many (README.md)
frames_per_clip=5     # faces embedded and averaged
face_pool=            # conf/face_pool.yaml: a clip's faces are pooled by attention on their quality; empty: averaged
features=             # fbank, mfcc or spectrogram: stage 1 makes them, and voice activity; later stages do not read them; empty: none
conditions=noisy-0.6  # noisy test sets that stage 9 makes, such as "noisy-0.6 no-voice snr-5": see avsv damage --help
dev_conditions="clean noisy-0.6 both-noisy"   # versions of the held-out people's clips to train calibration and score fusion on; noisy-0.6 is one
adapt_set=            # data/ directory of unlabelled recordings of the test's domain, to adapt every system to; empty: none
adapt_folds=1         # 2, in place of adapt_set: two groups of test people, each adapted to the other; trials between groups are left out
cohort_of=speakers    # cohort of as-norm: mean embeddings of the training speakers, or their utterances
top_n=300             # cohort members of as-norm
compared=             # further systems on the results page, such as another toolkit's: names of exp/NAME/scores/LIST.BACKEND
published=            # table of published figures, shown beside ours
other_set=            # data/ directory of another corpus, with trials/: a finished run, given the same options, is tested on it; exp/OTHER_SET/results
other_corpus=         # its folder, in VoxCeleb1's layout, from which stage 0 makes data/OTHER_SET; empty: you made the directory
synchrony=            # a network of run_synchrony.sh, such as exp/syncnet: stage 4 marks clips whose face is not the speaker's
max_skipped=0.05      # share of the clips that may be unreadable, or without a face, before a stage fails
allow_pipes=false     # run the commands in wav.scp
trust_model=false     # run FILE.py of --voice, and the program of a voice model that is not recognised, see avsv embed-voice --help
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of embeddings and training: cpu or cuda
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
condition=            # score the test set's noisy version of this name in stages 3, 4 and 6-8; stage 9 does so for all --conditions
stage=0
stop_stage=10
RECIPE_CONF=conf/recipe.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
results=exp/results target=target own_test_set=$test_set
if [ -n "$other_set" ]; then
  test_set=$other_set results=exp/$other_set/results target=target_$other_set published=
fi
if [ "$adapt_folds" -gt 1 ]; then
  if [ -n "$adapt_set" ]; then
    echo "run.sh: --adapt-folds $adapt_folds: replaces --adapt-set $adapt_set; leave one of them out" >&2
    exit 2
  fi
  adapt_set=$test_set
fi
name_systems voices voice "${voice[@]}"
name_systems faces face "${face[@]}"
name_systems fusions avn_e "${fusion[@]}"
pair_fusions
adapt_systems
if [ -n "$other_set" ]; then need_run "$own_test_set"; fi
face_detector=$(from_user "$face_detector") synchrony=$(from_user "$synchrony") published=$(from_user "$published")
detector_model=$(trained_or_given exp/face_detector "$face_detector")
face_pool=$(from_user "$face_pool")
read_train_options
pipes=() trust=()
if $allow_pipes; then pipes=(--allow-pipes); fi
if $trust_model; then trust=(--trust-model); fi
# The same number of faces per clip is embedded in every set; the face network trains on five or more.
aligned_frames=$((frames_per_clip > 5 ? frames_per_clip : 5))
at_least 2 held_out "for calibration is trained on trials between people who are in no training"
held_out_sets=()   # data/dev and its noisy versions
for name in $dev_conditions; do held_out_sets+=("dev${name:+_$name}"); done
held_out_sets=("${held_out_sets[@]/#dev_clean/dev}")
if [[ " ${held_out_sets[*]} " != *" dev_noisy-0.6 "* ]]; then
  echo "run.sh: --dev-conditions $dev_conditions: expected noisy-0.6 among them; calibrations are trained on it" >&2
  exit 2
fi
calibration_sets=("${held_out_sets[@]}")
# Another corpus, and a noisy version of a test set, are scored with the models that the run has already trained. A noisy
# version shares the undamaged clips of its test set.
trains=true
others=("$train_set" "${train_set}_damaged" "${held_out_sets[@]}") tested=$test_set
if [ -n "$condition" ]; then
  if [ "$stage" -lt 3 ] || [ "$stop_stage" -gt 8 ]; then
    echo "run.sh: --condition $condition: goes with stages 3 to 8; the others are for the clean set" >&2
    exit 2
  fi
  tested=${test_set}_$condition
fi
if [ -n "$other_set$condition" ]; then trains=false others=() held_out_sets=(); fi
# The voices and faces of these are embedded; fusion networks need no adaptation recordings.
embedded=("$tested" "${others[@]}")
# folds: what keeps a test recording from being adapted to itself
if [ "$adapt_folds" -gt 1 ]; then
  folds=(--folds "data/$test_set/utt2fold")
elif [ "$adapt_set" = "$test_set" ]; then
  folds=(--folds "data/$test_set/utt2spk")
else
  folds=()
  if [ -n "$adapt_set" ] && [ -z "$condition" ]; then embedded+=("$adapt_set"); fi
fi
# A test set that is adapted to itself is so in its own condition, as it would be on recordings from its microphones and cameras.
adapted_to=$adapt_set
if [ "$adapt_set" = "$test_set" ]; then adapted_to=$tested; fi
recommended=quality.cosine
if [ -n "$adapt_set" ]; then recommended=quality_adapted.cosine; fi
# scores_of SYSTEM SET LIST: its score files, without the back-end; those of the held-out people stay out of the results
scores_of() {
  if [ "$2" = "$tested" ]; then echo "exp/$1/scores/$3${condition:+@$condition}"; else echo "exp/$1/$2/$3"; fi
}
# train_or_apply SYSTEM BACKEND OPTION ...: the options of a calibration or score fusion, in the array trained: those of its
# training for the held-out people, otherwise the model that was trained on them.
train_or_apply() {
  if [ "$set" = "$tested" ]; then trained=(--model "exp/$1/dev_noisy-0.6/dev.$2.json"); else trained=("${@:3}"); fi
}

if stage 0 "data directories and trial lists"; then
  if $trains; then
    # makes data/TRAIN_SET, data/TEST_SET with trials/, data/dev (the held-out people) and data/musan_{train,dev,test}: noises
    # for damage in training, calibration and test, no file in two of them
    (. local/prepare.sh)
  elif [ -n "$other_corpus" ]; then
    "$reference/local/prepare_voxceleb1.py" --lists "$other_set" "$(from_user "$other_corpus")" "data/$other_set"
  fi
  if [ "$adapt_folds" -gt 1 ]; then "$reference/local/split_test_people.py" --folds "$adapt_folds" "data/$test_set"; fi
  for set in "${held_out_sets[@]}"; do
    if [ "$set" != dev ]; then avsv damage --condition "${set#dev_}" --noises data/musan_dev data/dev "data/$set"; fi
  done
  if $trains; then checked=(dev "${embedded[@]}" musan_train musan_dev musan_test); else checked=("${embedded[@]}" musan_test); fi
  for set in "${checked[@]}"; do
    if [ "$set" != "${train_set}_damaged" ]; then avsv check "data/$set"; fi   # stage 2 makes it
  done
fi

if stage 1 "features: ${features:-none, as nothing below reads them (--features fbank makes filter banks)}"; then
  if [ -n "$features" ]; then
    for set in $($trains && echo "$train_set" dev) "$test_set"; do
      $cpu_cmd "JOB=1:$nj" "exp/$features/$set/log/$features.JOB.log" \
        avsv features --kind "$features" "${pipes[@]}" --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" "exp/$features/$set"
    done
  fi
fi

if $trains && stage 2 "voice and face front ends"; then
  for name in "${voices[@]}"; do
    case ${source_of[$name]} in *.yaml)
      $train_cmd "exp/$name/log/train.log" avsv train --task voice "${source_of[$name]}" "${pipes[@]}" \
        "${train_options[@]}" data_dir="data/$train_set" exp_dir="exp/$name" ;;
    esac
  done
  case $face_detector in *.yaml)
    $train_cmd exp/face_detector/log/train.log avsv train --task face_detector "$face_detector" "${train_options[@]}" \
      data_dir="data/$train_set" exp_dir=exp/face_detector ;;
  esac
  for name in "${faces[@]}"; do
    case ${source_of[$name]} in *.yaml)
      $cpu_cmd "JOB=1:$nj" "exp/align/$train_set/log/align.JOB.log" \
        avsv align-faces --model "$detector_model" --max-skipped "$max_skipped" --frames-per-clip "$aligned_frames" \
          --shard "JOB/$nj" "data/$train_set" "exp/align/$train_set"
      $train_cmd "exp/$name/log/train.log" avsv train --task face "${source_of[$name]}" "${train_options[@]}" \
        data_dir="data/$train_set" exp_dir="exp/$name" detector="$detector_model" ;;
    esac
  done
  # training data of the fusion network; made here, to use the faces that were just aligned
  avsv damage --condition both-noisy --seed 1 --noises data/musan_train "data/$train_set" "data/${train_set}_damaged"
fi

if stage 3 "voice embeddings"; then
  for name in "${voices[@]}"; do
    case ${source_of[$name]} in *+*) concatenate "$name" "${embedded[@]}"; continue ;; esac
    model=$(trained_or_given "exp/$name" "${source_of[$name]}")
    for set in "${embedded[@]}"; do
      $embed_cmd "JOB=1:$nj" "exp/$name/$set/log/embed.JOB.log" \
        avsv embed-voice "${pipes[@]}" "${trust[@]}" --model "$model" --device "$device" --max-skipped "$max_skipped" \
          ${condition:+--reuse "exp/$name/$test_set"} --shard "JOB/$nj" "data/$set" "exp/$name/$set"
    done
  done
fi

if stage 4 "face embeddings"; then
  for name in "${faces[@]}"; do
    case ${source_of[$name]} in *+*) concatenate "$name" "${embedded[@]}"; continue ;; esac
    model=$(trained_or_given "exp/$name" "${source_of[$name]}")
    if [ -n "$face_pool" ] && $trains; then
      # the attention is trained on clean and damaged faces of the held-out people
      avsv damage --condition face-noisy data/dev data/dev_face-noisy
      for set in dev dev_face-noisy; do
        $embed_cmd "JOB=1:$nj" "exp/${name}_faces/$set/log/embed.JOB.log" \
          avsv embed-face --model "$model" --device "$device" --max-skipped "$max_skipped" --keep-faces \
            --frames-per-clip "$frames_per_clip" --shard "JOB/$nj" "data/$set" "exp/${name}_faces/$set"
      done
      $train_cmd "exp/${name}_pool/log/train.log" avsv train --task face_pool "$face_pool" "${train_options[@]}" \
        faces="exp/${name}_faces/dev/faces.scp" damaged_faces="exp/${name}_faces/dev_face-noisy/faces.scp" exp_dir="exp/${name}_pool"
    fi
    for set in "${embedded[@]}"; do
      $embed_cmd "JOB=1:$nj" "exp/$name/$set/log/embed.JOB.log" \
        avsv embed-face --model "$model" --device "$device" --max-skipped "$max_skipped" \
          ${face_pool:+--pool "exp/${name}_pool"} --frames-per-clip "$frames_per_clip" ${condition:+--reuse "exp/$name/$test_set"} \
          --shard "JOB/$nj" "data/$set" "exp/$name/$set"
    done
  done
  # data/SET/utt2speaking: is the face the speaker's, yes or no. Of clean sets, as a noisy one has the same mouths; and of
  # videos, as still images (VoxCeleb1's, one a second) cannot tell.
  if [ -n "$synchrony" ] && [ -z "$condition" ]; then
    for set in "$test_set" $($trains && echo "$train_set"); do
      if [ -d "$(head -n 1 "data/$set/video.scp" | cut -d ' ' -f 2-)" ]; then continue; fi
      $cpu_cmd "JOB=1:$nj" "exp/mouths_found/$set/log/mouths.JOB.log" \
        avsv synchrony mouths --model "$detector_model" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
          "data/$set" "exp/mouths_found/$set"
      $cpu_cmd "JOB=1:$nj" "exp/speaking/$set/log/score.JOB.log" \
        avsv synchrony score --model "$synchrony" --device "$device" --max-skipped "$max_skipped" --shard "JOB/$nj" \
          "data/$set" "exp/speaking/$set"
    done
  fi
fi

if stage 5 "adaptation to ${adapt_set:-no domain (--adapt-set)}, and fusion networks: ${fusions[*]}"; then
  # Every domain is centred on its own mean: the training data, the held-out people (each on the others), the test set. Damage
  # is part of the domain: a damaged set is adapted to damaged recordings.
  # No training person is adapted to own recordings: these resemble a recording as nothing in a new domain does.
  # exp/SYSTEM_adapted/target (target_OTHER_SET) has the map for further recordings of the test's domain, for avsv verify --adaptation.
  if [ -n "$adapt_set" ] && $trains; then tenths_of_people "$train_set"; fi
  for adapted in "${adapted_systems[@]}"; do
    system=${adapted%_adapted} train=exp/${adapted%_adapted}/$train_set/embedding.scp
    if $trains; then
      apply_to "$system" "$train_set" "${train_set}_damaged"
      avsv adapt --embeddings "$train" --people "$(people_in "$train_set")" --folds "data/$train_set/utt2fold" \
        "${applied[@]}" "exp/$adapted/source"
      for set in "${held_out_sets[@]}"; do
        apply_to "$system" "$set"
        avsv adapt --embeddings "exp/$system/$set/embedding.scp" --source "$train" \
          --people "$(people_in dev)" --folds data/dev/utt2spk "${applied[@]}" "exp/$adapted/held_out/$set"
      done
    fi
    apply_to "$system" "$tested"
    if [ "$adapted_to" != "$tested" ] && [ -z "$condition" ]; then apply_to "$system" "$tested" "$adapted_to"; fi
    avsv adapt --embeddings "exp/$system/$adapted_to/embedding.scp" --source "$train" \
      --people "$(people_in "$adapted_to")" "${folds[@]}" "${applied[@]}" "exp/$adapted/$target${condition:+@$condition}"
  done
  for name in $($trains && echo "${fusions[@]}"); do
    of_voice=exp/${voice_of[$name]} of_face=exp/${face_of[$name]} damaged=${train_set}_damaged noise=()
    if [ "$(damage_of "${source_of[$name]}")" = v2 ]; then   # the published network draws damage from these statistics
      measure_noise voice "$of_voice" noise music babble
      measure_noise face "$of_face" gaussian-blur motion-blur-vertical motion-blur-horizontal
      noise=(voice_noise="$of_voice/noise.npz" face_noise="$of_face/noise.npz")
    fi
    $train_cmd "exp/$name/log/train.log" avsv train --task avn_e "${source_of[$name]}" "${train_options[@]}" \
      data_dir="data/$train_set" voice="$of_voice/$train_set/embedding.scp" face="$of_face/$train_set/embedding.scp" \
      damaged_sets="[{data_dir: data/$damaged$(damaged_in "$damaged" voice "$of_voice")$(damaged_in "$damaged" face "$of_face")}]" \
      "${noise[@]}" exp_dir="exp/$name"
  done
fi

if stage 6 "fused embeddings"; then
  for name in "${fusions[@]}"; do
    for set in "$tested" "${others[@]}"; do
      avsv embed-pair --model "exp/$name" --voice "exp/${voice_of[$name]}/$set/embedding.scp" \
        --face "exp/${face_of[$name]}/$set/embedding.scp" "exp/$name/$set"
    done
  done
fi

if stage 7 "scores: cosine and PLDA"; then
  for system in "${all_systems[@]}"; do
    if $trains; then
      training=(--embeddings "exp/$system/$train_set/embedding.scp")
      # of adapted voices and faces, whose PLDA scores are fused: it learns from damaged clips what damage changes
      if is_adapted "$system"; then training+=(--embeddings "exp/$system/${train_set}_damaged/embedding.scp"); fi
      avsv plda "${training[@]}" --utt2spk "data/$train_set/utt2spk" "exp/$system/plda"
    fi
    for set in "${held_out_sets[@]}" "$tested"; do
      for trials in "data/$set/trials/"*; do
        scores=$(scores_of "$system" "$set" "${trials##*/}")
        # --missing 0: a trial without a voice or a face gets the score 0, and is counted and listed
        for backend in cosine plda; do
          avsv score --backend $backend --plda "exp/$system/plda" --missing 0 --trials "$trials" \
            --enroll "exp/$system/$set/embedding.scp" "$scores.$backend"
        done
        if [ -n "${voice_of[$system]:-}" ]; then   # fused on the modalities that both clips have
          avsv score --weights "exp/$system/$set/weights" --missing 0 --trials "$trials" \
            --enroll "exp/$system/$set/embedding.scp" "$scores.cosine_shared"
        fi
      done
    done
  done
fi

if stage 8 "score normalisation, calibration and score fusion"; then
  for system in "${all_systems[@]}"; do
    for set in "${held_out_sets[@]}" "$tested"; do
      for trials in "data/$set/trials/"*; do
        scores=$(scores_of "$system" "$set" "${trials##*/}")
        avsv normalize --method as-norm --top-n "$top_n" --missing keep --trials "$trials" --scores "$scores.cosine" \
          --enroll "exp/$system/$set/embedding.scp" --cohort "exp/$system/$train_set/embedding.scp" \
          --cohort-utt2spk "data/$train_set/utt2spk" --cohort-of "$cohort_of" "$scores.cosine_as-norm"
        if is_adapted "$system"; then
          # against the recordings of the domain: what a recording has in common with everybody there is no evidence
          cohort=$adapted_to apart=("${folds[@]}")
          if [ "$set" != "$tested" ]; then cohort=$set apart=(--folds data/dev/utt2spk); fi
          avsv normalize --method mean-norm --top-share 0.3 --missing keep --backend plda --plda "exp/$system/plda" \
            --trials "$trials" --scores "$scores.plda" --enroll "exp/$system/$set/embedding.scp" \
            --cohort "exp/$system/$cohort/embedding.scp" "${apart[@]}" "$scores.plda_mean-norm"
        fi
      done
    done
  done
  # All training is on the held-out people; the models are saved beside their scores (NAME.json) and serve every test set.
  # --missing rest: a trial is scored on the modalities that it has; without any, its log-likelihood ratio is 0.
  for set in $($trains && echo dev_noisy-0.6) "$tested"; do
    for trials in "data/$set/trials/"*; do
      list=${trials##*/}
      for system in "${all_systems[@]}"; do
        for backend in cosine_as-norm plda ${voice_of[$system]:+cosine_shared}; do
          scores=$(scores_of "$system" "$set" "$list").$backend
          train_or_apply "$system" "${backend}_calibrated" --train-trials "$trials" --train-scores "$scores"
          avsv calibrate --missing rest --trials "$trials" --scores "$scores" "${trained[@]}" "${scores}_calibrated"
        done
        if [ -n "${voice_of[$system]:-}" ]; then
          # calibrated by the quality of the clips, and by how much of each embedding is voice, on clean and damaged clips together
          training=(--p-target 0.5)
          for dev in "${calibration_sets[@]}"; do
            read_quality "${voice_of[$system]}" "${face_of[$system]}" "$dev"
            training+=(--train-trials "data/$dev/trials/dev" --train-scores "exp/$system/$dev/dev.cosine_shared"
              --train-quality "${quality[@]#*=}" "exp/$system/$dev/utt2voice_weight")
          done
          read_quality "${voice_of[$system]}" "${face_of[$system]}" "$set"
          scores=$(scores_of "$system" "$set" "$list").cosine_shared
          train_or_apply "$system" cosine_shared_quality "${training[@]}"
          avsv calibrate --method quality --missing rest --trials "$trials" --scores "$scores" \
            --quality "${quality[@]#*=}" "exp/$system/$set/utt2voice_weight" "${trained[@]}" "${scores}_quality"
        fi
      done
      for pair in "${score_pairs[@]}"; do   # VOICE+FACE
        of_voice=exp/${pair%+*} of_face=exp/${pair#*+} of_pair=${pair_suffix[$pair]}
        voice_scores=$(scores_of "${pair%+*}" "$set" "$list").cosine face_scores=$(scores_of "${pair#*+}" "$set" "$list").cosine
        fuse=(avsv fuse --missing rest --trials "$trials" --scores "$voice_scores" "$face_scores")
        training=(--train-trials "$trials" --train-scores "$voice_scores" "$face_scores")
        "${fuse[@]}" --method mean "$(scores_of "mean$of_pair" "$set" "$list").cosine"
        logistic=$(scores_of "logistic$of_pair" "$set" "$list")
        train_or_apply "logistic$of_pair" cosine "${training[@]}"
        "${fuse[@]}" --method logistic "${trained[@]}" "$logistic.cosine"
        # with the quality of the clips: magnitudes of both embeddings, noise in the waveform, sharpness of the face
        quality=("$of_voice/$set"/utt2{magnitude,snr} "$of_face/$set/utt2magnitude" "log:$of_face/$set/utt2sharpness")
        train_or_apply "logistic$of_pair" cosine_qmf "${training[@]}" --train-quality "${quality[@]}"
        "${fuse[@]}" --method logistic --quality "${quality[@]}" "${trained[@]}" "${logistic}.cosine_qmf"
        # Each score counts as much as the quality of its recordings warrants; trained on clean and damaged clips together. Of
        # adapted systems PLDA scores too, which need no similarity to the domain: it is subtracted from them already.
        for backend in cosine $(if is_adapted "${pair%+*}"; then echo plda; fi); do
          scored=$backend without=()
          if [ "$backend" = plda ]; then scored=plda_mean-norm without=(--without-similarity); fi
          training=(--p-target 0.5)
          for dev in "${calibration_sets[@]}"; do
            read_quality "${pair%+*}" "${pair#*+}" "$dev" "${without[@]}"
            training+=(--train-trials "data/$dev/trials/dev" --train-quality "${quality[@]}"
              --train-scores "voice=$of_voice/$dev/dev.$scored" "face=$of_face/$dev/dev.$scored")
          done
          read_quality "${pair%+*}" "${pair#*+}" "$set" "${without[@]}"
          train_or_apply "quality$of_pair" $backend "${training[@]}"
          avsv fuse --missing rest --method quality --trials "$trials" --quality "${quality[@]}" \
            --scores "voice=${voice_scores%cosine}$scored" "face=${face_scores%cosine}$scored" \
            "${trained[@]}" "$(scores_of "quality$of_pair" "$set" "$list").$backend"
        done
      done
    done
  done
fi

if stage 9 "noisy test sets: $conditions"; then
  for name in $conditions; do
    avsv damage --condition "$name" --noises data/musan_test "data/$test_set" "data/${test_set}_$name"
    (cd "$caller" && bash "$0" "${options[@]}" --condition "$name" --stage 3 --stop-stage 8)
  done
fi

if stage 10 "results"; then
  # Only results of this run are shown, not systems and conditions of earlier runs.
  data=data/$test_set shown=(${published:+--published "$published"})
  for name in clean $conditions; do shown+=(--condition "$name"); done
  for system in "${all_systems[@]}" "${score_fusions[@]}" $compared; do
    shown+=(--system "$system")
  done
  # the parts of the recommended system, and the usual ways to fuse them
  rivals=("${voices[0]}" "${faces[0]}" mean logistic)
  for rival in "${rivals[@]}" ${adapt_set:+"${rivals[@]/%/_adapted}"}; do shown+=(--rival "$rival"); done
  for table in spk2gender spk2nationality utt2dur ${synchrony:+utt2speaking}; do
    if [ -e "$data/$table" ]; then shown+=(--by "$data/$table"); fi
  done
  avsv report --trials-dir "$data/trials" --utt2spk "$data/utt2spk" "${shown[@]}" \
    --reference "$recommended" exp "$results"
  # is the recommended system anywhere worse than what it is made of?
  "$reference/local/check_claim.py" "$results/results.json" "$results/claim.md" \
    --rivals "${rivals[@]}"
fi
