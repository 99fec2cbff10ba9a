#!/usr/bin/env bash
# Every network, fusion form, attention module and augmentation, on the clean and on every noisy test set: one table.
# It uses the voice and face embeddings of all test sets, so run this first: run.sh --conditions "noisy-0.3 noisy-0.6
# noisy-0.8 voice-noisy face-noisy both-noisy no-voice no-face half-missing".
# Results are in exp/ablation/results; exp/ablation/seeds.md has mean and spread over the seeds.
#
# example: local/run_ablation.sh --seeds "0 1 2" --stage 2
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$(dirname "$0")/.."     # the corpus' folder; its file here is conf/recipe_ablation.conf

train_set=vox2        # data directory of the training people; stage 2 of run.sh made TRAIN_SET_damaged from it
test_set=vox1         # data directory of the test people; TEST_SET_CONDITION are its noisy versions
detector=buffalo_l    # pack or experiment with the face detector for the training faces of AVN-F and AVN-J
ours=conf/avn_e_small.yaml    # configuration of the recipe's own AVN-E
avn_f=conf/avn_f_small.yaml   # of AVN-F
avn_j=conf/avn_j_small.yaml   # of AVN-J
pack=buffalo_l        # the face model of run.sh; averaging and attention over a clip's faces are compared with it
pool=conf/face_pool.yaml      # attention on the quality of a clip's faces
face=conf/face_small.yaml     # initial face encoder of AVN-J: a configuration to train, or exp/face if that was trained
seeds=0               # of the trainings of AVN-E
heads="concat sum soft_attention soft_attention_concat gated compact_bilinear"
attentions="none 1 2 3"       # of AVN-F
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=2                  # parallel jobs
stage=1
stop_stage=7
RECIPE_CONF=conf/recipe_ablation.conf
# shellcheck source=../../../utils/parse_options.sh
. "$reference/../../utils/parse_options.sh"
# shellcheck source=../path.sh
. "$reference/path.sh"
# shellcheck source=../cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
ours=$(from_user "$ours") avn_f=$(from_user "$avn_f") avn_j=$(from_user "$avn_j")
pool=$(from_user "$pool") face=$(from_user "$face") pack=$(from_user "$pack") detector=$(from_user "$detector")
face_start=$(trained_or_given exp/face_small "$face")
here=exp/ablation
# The paper's fusion at laptop size: one Linear a modality, attention on the embeddings, AAM-softmax. The training
# differs: the paper adds a contrastive loss and uses a rate of 1e-5 to 1e-6, see conf/avn_e_paper.yaml.
forms=('voice_quality=[]' 'face_quality=[]' attention_on=embeddings transform_depth=1
  'losses={aam: 1, verification: 0, damage: 0, attention: 0}' missing_share=0 clips_per_person=0 batch_size=64 epochs=30
  'optimizer={name: adam, lr: 1.0e-4, final_lr: 1.0e-6, weight_decay: 1.0e-4, schedule: exponential}')
damaged=${train_set}_damaged
damaged_sets="[{data_dir: data/$damaged, voice: exp/voice/$damaged/embedding.scp, face: exp/face/$damaged/embedding.scp}]"
sets=("$test_set")
for set in data/"${test_set}"_*; do
  if [ -e "$set/utt2damage" ]; then sets+=("${set##*/}"); fi   # skips other sets with the same prefix
done

# score SYSTEM: cosine scores of all lists and conditions from exp/ablation/SYSTEM/SET/embedding.scp
score() {
  local set trials condition
  for set in "${sets[@]}"; do
    condition=${set#"$test_set"}
    for trials in "data/$set/trials/"*; do
      avsv score --missing 0 --trials "$trials" --enroll "$here/$1/$set/embedding.scp" \
        "$here/$1/scores/${trials##*/}${condition:+@${condition#_}}.cosine"
    done
  done
}

# score_shared SYSTEM: cosine scores on the modalities that both clips have, calibrated on the held-out people of run.sh
score_shared() {
  local set trials list condition
  avsv embed-pair --model "$here/$1" --voice exp/voice/dev_noisy-0.6/embedding.scp --face exp/face/dev_noisy-0.6/embedding.scp \
    "$here/$1/dev_noisy-0.6"
  avsv score --weights "$here/$1/dev_noisy-0.6/weights" --missing 0 --trials data/dev_noisy-0.6/trials/dev \
    --enroll "$here/$1/dev_noisy-0.6/embedding.scp" "$here/$1/dev_noisy-0.6/dev.cosine_shared"
  for set in "${sets[@]}"; do
    condition=${set#"$test_set"}
    for trials in "data/$set/trials/"*; do
      list=$here/$1/scores/${trials##*/}${condition:+@${condition#_}}
      avsv score --weights "$here/$1/$set/weights" --missing 0 --trials "$trials" \
        --enroll "$here/$1/$set/embedding.scp" "$list.cosine_shared"
      avsv calibrate --missing rest --trials "$trials" --scores "$list.cosine_shared" \
        --train-trials data/dev_noisy-0.6/trials/dev --train-scores "$here/$1/dev_noisy-0.6/dev.cosine_shared" \
        "$list.cosine_shared_calibrated"
      rm "$list.cosine_shared"    # the table needs only one row per system
    done
  done
}

# train_pairs SYSTEM key=value ...: an AVN-E on the embeddings of stages 3 and 4 of run.sh, one for each seed
train_pairs() {
  local name=$1 seed system set
  shift
  for seed in $seeds; do
    system=$name.seed$seed
    $train_cmd "$here/$system/log/train.log" avsv train --task avn_e "$ours" data_dir="data/$train_set" \
      voice="exp/voice/$train_set/embedding.scp" face="exp/face/$train_set/embedding.scp" damaged_sets="$damaged_sets" \
      "$@" seed="$seed" exp_dir="$here/$system"
    for set in "${sets[@]}"; do
      avsv embed-pair --model "$here/$system" --voice "exp/voice/$set/embedding.scp" \
        --face "exp/face/$set/embedding.scp" "$here/$system/$set"
    done
    score "$system"
  done
}

if stage 1 "baselines: voice, face, mean of scores, logistic fusion without and with quality measures, quality-dependent fusion"; then
  for system in voice face mean logistic quality; do
    mkdir -p "$here/$system/scores"
    kinds=(cosine)
    if [ $system = logistic ]; then kinds+=(cosine_qmf); fi
    for set in "${sets[@]}"; do
      condition=${set#"$test_set"}
      for trials in "data/$set/trials/"*; do
        for kind in "${kinds[@]}"; do
          scores=exp/$system/scores/${trials##*/}${condition:+@${condition#_}}.$kind
          avsv evaluate --resamples 0 --trials "$trials" "$scores" >/dev/null   # fails on scores of an earlier model
          cp "$scores" "$here/$system/scores/"
        done
      done
    done
  done
fi

if stage 2 "AVN-E: the paper's fusion forms, by AAM-softmax alone, with augmentation v1"; then
  for head in $heads; do train_pairs "avn_e-$head" fusion="$head" damage=v1 "${forms[@]}"; done
fi

if stage 3 "AVN-E: augmentations, and ours"; then
  for modality in voice face; do
    case $modality in   # the paper's three types of damage per modality
      voice) damages=(noise music babble) ;;
      face) damages=(gaussian-blur motion-blur-vertical motion-blur-horizontal) ;;
    esac
    avsv noise-statistics --modality $modality "${damages[@]/#/--kind=}" --utt2damage "data/${train_set}_damaged/utt2damage" \
      "exp/$modality/$train_set/embedding.scp" "exp/$modality/${train_set}_damaged/embedding.scp" "$here/noise_$modality.npz"
  done
  train_pairs avn_e-soft_attention-none fusion=soft_attention damage=none "${forms[@]}"
  train_pairs avn_e-soft_attention-v2 fusion=soft_attention damage=v2 "${forms[@]}" \
    voice_noise="$here/noise_voice.npz" face_noise="$here/noise_face.npz"
  train_pairs avn_e-soft_attention-real fusion=soft_attention damage=real "${forms[@]}"
  train_pairs avn_e-ours-no-quality attention_on=embeddings 'voice_quality=[]' 'face_quality=[]'
  train_pairs avn_e-ours-v1 damage=v1 attention_on=embeddings 'voice_quality=[]' 'face_quality=[]'
  train_pairs avn_e-ours
  for seed in $seeds; do score_shared "avn_e-ours.seed$seed"; done
fi

if stage 4 "AVN-F: attention modules"; then
  if [ ! -e "data/$train_set/faces.scp" ]; then
    $cpu_cmd "JOB=1:$nj" "exp/align/$train_set/log/align.JOB.log" \
      avsv align-faces --model "$detector" --shard "JOB/$nj" "data/$train_set" "exp/align/$train_set"
  fi
  for attention in $attentions; do
    system=avn_f-$attention
    $train_cmd "$here/$system/log/train.log" \
      avsv train --task avn_f "$avn_f" data_dir="data/$train_set" attention="$attention" detector="$detector" \
        exp_dir="$here/$system"
    for set in "${sets[@]}"; do
      reuse=()
      if [ "$set" != "$test_set" ]; then reuse=(--reuse "$here/$system/$test_set"); fi
      $cpu_cmd "JOB=1:$nj" "$here/$system/$set/log/embed.JOB.log" \
        avsv embed-clips --model "$here/$system" "${reuse[@]}" --shard "JOB/$nj" "data/$set" "$here/$system/$set"
    done
    score "$system"
  done
fi

if stage 5 "AVN-J: encoders and fusion together"; then
  case $face in *.yaml)
    $train_cmd exp/face_small/log/train.log avsv train --task face "$face" data_dir="data/$train_set" \
      detector="$detector" exp_dir=exp/face_small ;;
  esac
  system=avn_j
  $train_cmd "$here/$system/log/train.log" avsv train --task avn_j "$avn_j" data_dir="data/$train_set" \
    face="$face_start" exp_dir="$here/$system"
  for set in "${sets[@]}"; do
    for modality in voice face; do
      reuse=()
      if [ "$set" != "$test_set" ]; then reuse=(--reuse "$here/$system/$modality/$test_set"); fi
      $cpu_cmd "JOB=1:$nj" "$here/$system/$modality/$set/log/embed.JOB.log" \
        avsv embed-$modality --model "$here/$system/$modality" "${reuse[@]}" --shard "JOB/$nj" "data/$set" \
          "$here/$system/$modality/$set"
    done
    avsv embed-pair --model "$here/$system" --voice "$here/$system/voice/$set/embedding.scp" \
      --face "$here/$system/face/$set/embedding.scp" "$here/$system/$set"
  done
  score "$system"
fi

if stage 6 "faces of a clip: their mean, and attention on their quality"; then
  avsv damage --condition face-noisy data/dev data/dev_face-noisy
  avsv damage --condition frames-0.5 "data/$test_set" "$here/data/${test_set}_frames-0.5"
  for set in dev dev_face-noisy; do
    avsv embed-face --model "$pack" --keep-faces "data/$set" "$here/faces/$set"
  done
  $train_cmd "$here/faces/pool/log/train.log" avsv train --task face_pool "$pool" exp_dir="$here/faces/pool" \
    faces="$here/faces/dev/faces.scp" damaged_faces="$here/faces/dev_face-noisy/faces.scp"
  for system in face-mean face-attention; do
    how=()
    if [ $system = face-attention ]; then how=(--pool "$here/faces/pool"); fi
    for set in "data/$test_set" "$here/data/${test_set}_frames-0.5"; do
      condition=${set##*/}
      condition=${condition#"$test_set"}
      avsv embed-face --model "$pack" "${how[@]}" "$set" "$here/$system/${set##*/}"
      for trials in "$set/trials/"*; do
        avsv score --trials "$trials" --enroll "$here/$system/${set##*/}/embedding.scp" \
          "$here/$system/scores/${trials##*/}${condition:+@${condition#_}}.cosine"
      done
    done
  done
fi

if stage 7 "results"; then
  avsv report --trials-dir "data/$test_set/trials" --utt2spk "data/$test_set/utt2spk" "$here" "$here/results"
  "$AVSV_ROOT/egs/voxceleb/local/summarize_seeds.py" "$here/results/results.json" "$here/seeds.md"
fi
