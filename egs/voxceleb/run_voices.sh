#!/usr/bin/env bash
# Voice encoders side by side: those of the literature, trained on the training people, and any others that you name, in one table
# of errors with intervals, published figures and cost. Read it from top to bottom; run a part of it with --stage N
# --stop-stage M. Results are in exp/voices.

# This recipe serves every corpus; see the head of run.sh. Here the corpus' file is conf/recipe_voices.conf; local/prepare.sh makes
# the data, which are those of run.sh: after run.sh, start with --stage 1.
set -euo pipefail
caller=$PWD
reference=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$(dirname "$0")"     # the corpus' folder

train_set=train       # data/ directory of the training people
test_set=test         # data/ directory of the test people
networks="ecapa xvector resnet vggm vggm_contrastive rescnn rescnn_triplet gru gru_triplet"   # trained, each with conf/voice_NAME.yaml (ecapa: conf/voice.yaml); NAME_PHASE starts from NAME
size=                 # small: conf/voice_NAME_small.yaml, for a few dozen people and a laptop
statistical="gmm_ubm ivector"   # trained, of gmm_ubm (conf/ubm.yaml) and ivector (conf/ivector.yaml, on the same UBM); empty: none
voices=()             # NAME=SOURCE, repeatable: other voice encoders, such as published ones; see --voice of run.sh
held_out=40           # training people kept out of training: the EER on them is measured after each epoch
lda_dim=              # dimensions that LDA keeps for PLDA, fewer than training people; empty: all
cost_clips=50         # test clips on which the seconds of CPU per second of sound are measured
published=            # table of published figures, shown in a column of their own
max_skipped=0.05      # share of the clips that may be unreadable before a stage fails
trust_model=false     # run FILE.py of --voices, see avsv embed-voice --help
train_options=        # more key=value for every avsv train, such as "epochs=1"
device=cpu            # of training and embeddings: cpu or cuda; the cost is measured on the CPU
cmd=run.py            # how jobs are run: on this machine, or through a cluster by slurm.py or sge.py, see cmd.sh
nj=4                  # parallel jobs
stage=0
stop_stage=6
RECIPE_CONF=conf/recipe_voices.conf
. "$reference/../../utils/parse_options.sh"
. "$reference/path.sh"
# shellcheck source=cmd.sh
. "$(own_or_reference cmd.sh)"

# Derived from the options, for every stage.
read -ra trained <<<"$networks"
given=()
for name in "${trained[@]}"; do
  file=conf/voice_$name${size:+_$size}.yaml
  given+=("$name=${file/_ecapa/}")
done
name_systems systems voices "${given[@]}" "${voices[@]}"
all_systems=("${systems[@]}")
for name in $statistical; do
  case $name in
    gmm_ubm | ivector) all_systems+=("$name") ;;
    *) echo "run_voices.sh: --statistical $name: expected gmm_ubm, ivector or both" >&2; exit 2 ;;
  esac
done
published=$(from_user "$published")
read_train_options
at_least 2 held_out "for the EER on held-out people needs trials between them"
trust=()
if $trust_model; then trust=(--trust-model); fi
if stage 0 "data directories and trial lists"; then
  if [ -e "data/$test_set/utt2fold" ]; then   # local/prepare.sh would write whole lists
    echo "run_voices.sh: run.sh has divided the lists of data/$test_set (--adapt-folds): to use them as they are, start with --stage 1" >&2
    exit 1
  fi
  (. local/prepare.sh)
  for set in "$train_set" dev "$test_set"; do avsv check "data/$set"; done
fi

if stage 1 "UBM and i-vector extractor: ${statistical:-none}"; then
  if [ -n "$statistical" ]; then
    for set in "$train_set" "$test_set"; do
      $cpu_cmd "JOB=1:$nj" "exp/mfcc/$set/log/features.JOB.log" \
        avsv features --kind mfcc --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" "exp/mfcc/$set"
    done
    $cpu_cmd "JOB=1:$nj" exp/ubm/log/train.JOB.log \
      avsv speech train-ubm --shard "JOB/$nj" "$(own_or_reference "conf/ubm${size:+_$size}.yaml")" "exp/mfcc/$train_set" exp/ubm
  fi
  case " $statistical " in *" ivector "*)
    $cpu_cmd "JOB=1:$nj" exp/ivector/log/train.JOB.log \
      avsv speech train-extractor --shard "JOB/$nj" --ubm exp/ubm "$(own_or_reference "conf/ivector${size:+_$size}.yaml")" \
        "exp/mfcc/$train_set" exp/ivector ;;
  esac
fi

if stage 2 "networks: $networks"; then
  for name in "${systems[@]}"; do
    case ${source_of[$name]} in *.yaml)
      phase=()
      case $name in *_*) phase=(init="exp/${name%_*}") ;; esac   # the second phase of a training
      $train_cmd "exp/$name/log/train.log" avsv train --task voice "${source_of[$name]}" "${train_options[@]}" \
        data_dir="data/$train_set" valid_dir=data/dev "${phase[@]}" exp_dir="exp/$name" ;;
    esac
  done
fi

if stage 3 "embeddings"; then
  for set in "$train_set" "$test_set"; do
    for name in "${systems[@]}"; do
      $embed_cmd "JOB=1:$nj" "exp/$name/$set/log/embed.JOB.log" \
        avsv embed-voice "${trust[@]}" --model "$(trained_or_given "exp/$name" "${source_of[$name]}")" --device "$device" \
          --max-skipped "$max_skipped" --shard "JOB/$nj" "data/$set" "exp/$name/$set"
    done
    case " $statistical " in *" ivector "*)
      $cpu_cmd "JOB=1:$nj" "exp/ivector/$set/log/embed.JOB.log" \
        avsv speech embed --model exp/ivector --shard "JOB/$nj" "exp/mfcc/$set" "exp/ivector/$set" ;;
    esac
  done
fi

if stage 4 "scores: cosine, cosine after centring, PLDA; GMM-UBM"; then
  for name in "${all_systems[@]}"; do
    if [ "$name" != gmm_ubm ]; then
      training=(--embeddings "exp/$name/$train_set/embedding.scp" --utt2spk "data/$train_set/utt2spk")
      avsv lda "${training[@]}" "exp/$name/lda"
      avsv plda ${lda_dim:+--lda-dim "$lda_dim"} "${training[@]}" "exp/$name/plda"
    fi
    for trials in "data/$test_set/trials/"*; do
      scores=exp/$name/scores/${trials##*/}
      if [ "$name" = gmm_ubm ]; then
        avsv speech score --ubm exp/ubm --trials "$trials" --enroll "exp/mfcc/$test_set" "$scores.map"
      else
        score=(avsv score --trials "$trials" --enroll "exp/$name/$test_set/embedding.scp")
        "${score[@]}" "$scores.cosine"
        "${score[@]}" --center "exp/$name/lda/mean.vec" "$scores.cosine_centred"
        "${score[@]}" --backend plda --plda "exp/$name/plda" "$scores.plda"
      fi
    done
  done
fi

if stage 5 "cost: parameters, multiplications, and seconds of CPU per second of sound"; then
  models=()
  for name in "${systems[@]}"; do models+=("$name=$(trained_or_given "exp/$name" "${source_of[$name]}")"); done
  for name in $statistical; do models+=("$name=exp/${name/gmm_ubm/ubm}"); done
  OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "$reference/local/measure_cost.py" "${trust[@]}" --clips "$cost_clips" \
    --out exp/voices/cost.tsv "data/$test_set" "${models[@]}"
fi

if stage 6 "results"; then
  shown=()
  for name in "${all_systems[@]}"; do shown+=(--system "$name"); done
  avsv report --trials-dir "data/$test_set/trials" --utt2spk "data/$test_set/utt2spk" --condition clean "${shown[@]}" \
    ${published:+--published "$published"} exp exp/voices/results >/dev/null
  "$reference/local/voices_table.py" exp/voices/results/results.json exp/voices/cost.tsv ${published:+--published "$published"} \
    | tee exp/voices/results.md
fi
