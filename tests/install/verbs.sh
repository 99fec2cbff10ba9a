# shellcheck shell=bash
# Sourced by run_recipes.sh. note_verbs FILE puts a wrapper of `avsv` first on PATH that logs each verb to FILE; other_verbs
# runs the verbs that neither a recipe nor the documentation calls, in egs/mini after its recipes; all_verbs FILE fails if any
# verb was not run.

note_verbs() {
  local bin=${1%/*}/bin
  mkdir -p "$bin"
  printf '#!/bin/bash\necho "$1\n$1 $2" >>%q\nexec %q "$@"\n' "$1" "$(command -v avsv)" >"$bin/avsv"
  chmod +x "$bin/avsv"
  export PATH=$bin:$PATH
}

# any_clip CLIP ... -- COMMAND ...: runs the command on each clip until it succeeds once; a detector trained for a few seconds
# misses some faces.
any_clip() {
  local some=() clip
  while [ "$1" != -- ]; do some+=("$1"); shift; done
  shift
  for clip in "${some[@]}"; do
    if "$@" "$clip"; then return; fi
  done
  return 1
}

other_verbs() {
  local out=$1 clips trials=data/test/trials/test scp=exp/voice/test/embedding.scp
  mapfile -t clips < <(cut -d' ' -f2 data/test/video.scp | head -n 8)
  any_clip "${clips[@]}" -- avsv synchrony offset --model exp/syncnet --face exp/face_detector
  any_clip "${clips[@]}" -- avsv synchrony active-speaker --model exp/syncnet --face exp/face_detector
  avsv models
  avsv import-embeddings "$scp" "$out/imported"
  avsv concatenate --embeddings "$scp" --embeddings "$out/imported/embedding.scp" "$out/both"
  avsv lda --embeddings exp/voice/train/embedding.scp --utt2spk data/train/utt2spk --dim 4 "$out/lda"
  avsv adapt --embeddings "$scp" --apply "$scp" "$out/adapted" "$out/adaptation"
  avsv adapt --plda exp/voice/plda --embeddings "$scp" "$out/plda"
  avsv uncertain-plda --plda exp/voice/plda --trials $trials --embeddings "$scp" --quality exp/voice/test/utt2snr \
    --train-trials data/dev/trials/dev --train-embeddings exp/voice/dev/embedding.scp \
    --train-quality exp/voice/dev/utt2snr "$out/uncertain"
  avsv evaluate --trials $trials exp/voice/scores/test.cosine
  avsv merge exp/voice/test
  avsv features data/test "$out/fbank"
  any_clip "${clips[@]}" -- avsv enroll --force --voice exp/voice --face exp/face \
    --calibration exp/logistic/scores/test.cosine.json "$out/people.gallery" Ann
  timeout 20 avsv serve --port 0 "$out/people.gallery" || [ $? -eq 124 ]   # it runs until a signal
  cp -r data/test "$out/data"
  avsv fix "$out/data"
  avsv split "$out/data" 2
}

all_verbs() {
  local missing
  missing=$(comm -23 <(avsv --help | sed -n 's/^  \([a-z-]*\( [a-z-]\+\)\?\)  .*/\1/p' | sort) <(sort -u "$1"))
  [ -z "$missing" ] || { echo "no recipe and no test here runs: ${missing//$'\n'/ }"; return 1; }
}
