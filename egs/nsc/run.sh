#!/usr/bin/env bash
# The gain from back-ends, on published embeddings: SpeechBrain's ECAPA and x-vector embeddings of 270 speakers of the
# Singapore National Speech Corpus. No media, no training of networks: two minutes.
# All training (LDA, PLDA, the cohort, calibration) is cross-validated over speakers.
# Read it from top to bottom; run a part of it with --stage N --stop-stage M. Results are in exp/results.
set -euo pipefail
caller=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

nsc=                  # folder with embeddings.npz and pt{1,2,3}_trials.csv
systems="ecapa xvect" # arrays of embeddings.npz
top_n=50              # cohort speakers of as-norm
groups=5              # of speakers: a fold's trials are between two of them, its training speakers are the others
stage=0
stop_stage=10
. ../../utils/parse_options.sh
. ../voxceleb/path.sh
need nsc
nsc=$(from_user "$nsc")

# scores_of TRIALS SCORES: the lines of SCORES for these trials
scores_of() { awk 'NR == FNR { wanted[$1, $2]; next } ($1, $2) in wanted' "$1" "$2"; }

if stage 0 "trial lists, folds, embeddings"; then
  local/prepare_nsc.py --groups "$groups" "$nsc" data
  for system in $systems; do
    avsv import-embeddings "$nsc/embeddings.npz" exp/$system/nsc --array $system
  done
fi

if stage 7 "scores: cosine, LDA and cosine, PLDA"; then
  for system in $systems; do
    all=exp/$system/nsc/embedding.scp
    rm -rf "exp/$system/folds"    # those of another --groups would be joined with these
    avsv score --trials data/nsc/trials/all --enroll "$all" "exp/$system/scores/all.cosine"
    for fold in data/folds/*; do
      here=exp/$system/folds/${fold##*/}
      mkdir -p "$here"
      awk 'NR == FNR { wanted[$1]; next } $1 in wanted' "$fold/utt2spk" "$all" >"$here/train.scp"
      avsv lda --embeddings "$here/train.scp" --utt2spk "$fold/utt2spk" "$here/lda"
      avsv plda --embeddings "$here/train.scp" --utt2spk "$fold/utt2spk" "$here/plda"
      avsv score --trials "$fold/trials" --enroll "$all" --center "$here/lda/mean.vec" \
        --transform "$here/lda/transform.mat" "$here/lda-cosine"
      avsv score --trials "$fold/trials" --enroll "$all" --backend plda --plda "$here/plda" "$here/plda.scores"
    done
    cat exp/"$system"/folds/*/lda-cosine >"exp/$system/scores/all.lda-cosine"
    cat exp/"$system"/folds/*/plda.scores >"exp/$system/scores/all.plda"
  done
fi

if stage 8 "score normalisation, calibration without and with quality measures"; then
  for system in $systems; do
    scores=exp/$system/scores
    for fold in data/folds/*; do
      here=exp/$system/folds/${fold##*/}
      scores_of "$fold/trials" "$scores/all.cosine" >"$here/cosine"
      avsv normalize --method as-norm --top-n "$top_n" --trials "$fold/trials" --scores "$here/cosine" \
        --enroll "exp/$system/nsc/embedding.scp" --cohort "$here/train.scp" --cohort-utt2spk "$fold/utt2spk" \
        --cohort-means "$here/utt2cohort" "$here/cosine_as-norm"
    done
    cat exp/"$system"/folds/*/cosine_as-norm >"$scores/all.cosine_as-norm"
    # a quality measure: a recording's mean score against its best cohort speakers, over the folds it is in
    awk '{ sum[$1] += $2; n[$1]++ } END { for (utt in sum) print utt, sum[utt] / n[utt] }' \
      exp/"$system"/folds/*/utt2cohort | sort >"exp/$system/nsc/utt2cohort"
    for backend in cosine plda cosine_as-norm; do
      for fold in data/folds/*; do
        here=exp/$system/folds/${fold##*/}
        scores_of "$fold/trials" "$scores/all.$backend" >"$here/test.$backend"
        scores_of "$fold/train_trials" "$scores/all.$backend" >"$here/train.$backend"
        calibrate=(avsv calibrate --trials "$fold/trials" --scores "$here/test.$backend"
          --train-trials "$fold/train_trials" --train-scores "$here/train.$backend")
        "${calibrate[@]}" "$here/$backend.calibrated"
        "${calibrate[@]}" --quality "log:exp/$system/nsc/utt2magnitude" "exp/$system/nsc/utt2cohort" "$here/$backend.qmf"
      done
      for kind in calibrated qmf; do
        cat exp/"$system"/folds/*/"$backend.$kind" >"$scores/all.${backend}_$kind"
      done
    done
    for backend in cosine lda-cosine plda cosine_as-norm {cosine,plda,cosine_as-norm}_{calibrated,qmf}; do
      for part in pt1 pt2 pt3; do
        scores_of data/nsc/trials/$part "$scores/all.$backend" >"$scores/$part.$backend"
      done
    done
  done
fi

if stage 10 "results"; then
  avsv report --trials-dir data/nsc/trials --utt2spk data/nsc/utt2spk exp exp/results
  for trials in data/nsc/trials/*; do
    compared=()
    for scores in exp/*/scores/"${trials##*/}".*; do
      case $scores in *.json | *.missing | *.system) continue ;; esac   # what lies beside score files
      system=${scores#exp/} backend=${scores##*/}
      compared+=("${system%%/*}-${backend#*.}=$scores")
    done
    avsv compare --trials "$trials" --utt2spk data/nsc/utt2spk --reference "${systems%% *}-cosine" \
      --markdown "exp/results/compare_${trials##*/}.md" "${compared[@]}"
  done
fi
