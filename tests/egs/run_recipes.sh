#!/usr/bin/env bash
# The recipes from media files to results, on a few people and a few steps of training: does the way hold together?
# The figures mean nothing. Four runs keep two cores busy to the end: egs/mini and what needs its folder; those of real data
# (AVSV_REAL_DATA, or shared/data beside the checkout); and, from its end on, a second run of egs/mini that is killed on its
# way, and its ablation and voice-to-face in a copy. Their output is shown at the end.
#
#   bash tests/egs/run_recipes.sh         AVSV_INSTALLED=1 before it: with the avsv that is on PATH, see tests/install/plain.sh
set -euo pipefail
# shellcheck source=tests/egs/short_mini.sh
. "$(dirname "${BASH_SOURCE[0]}")/short_mini.sh"
# shellcheck source=tests/install/verbs.sh
. tests/install/verbs.sh
note_verbs "$work/verbs/run"
export OMP_NUM_THREADS=1   # what runs beside each other would share the cores' threads as well

data=${AVSV_REAL_DATA:-$root/../shared/data}
real_data() {
  if [ ! -d "$data/minivox" ]; then
    echo "skipped: egs/voxceleb needs the real data; set AVSV_REAL_DATA to their folder"
    return
  fi
  echo "== egs/voxceleb on 14 people of minivox"
  python tests/egs/few_people.py "$data/minivox" "$work/few" 6 8
  local run=(bash egs/voxceleb/run.sh --voxceleb1 "$work/few/vox1" --voxceleb2 "$work/few/vox2" --musan "$work/few/musan"
    --rirs "$work/few/RIRS_NOISES" --voice conf/voice_small.yaml --face "$data/models/mobileface" --held-out 2 --nj 1
    --cohort-of utterances --train-options "epochs=1")
  "${run[@]}" --adapt-set vox1
  python tests/egs/check_results.py egs/voxceleb/exp/results/results.json adapted clean noisy-0.6
  python tests/egs/check_apart.py egs/voxceleb/data
  echo "== its systems on another corpus; only here, four of its test people"
  python tests/egs/few_people.py "$data/minivox" "$work/other" 4 0
  "${run[@]}" --adapt-set other --other-set other --other-corpus "$work/other/vox1"
  python tests/egs/check_results.py egs/voxceleb/exp/other/results/results.json adapted clean noisy-0.6
  grep -q "vox1-O" egs/voxceleb/exp/results/claim.md && grep -q "other-O" egs/voxceleb/exp/other/results/claim.md
  echo "== egs/own on 30 videos of ten people, two in the wrong folder, and a stranger"
  python tests/egs/own_videos.py "$data/minivox/vox2/dev" "$work/videos"
  cp -r egs/own egs/own_videos   # the documentation runs egs/own
  bash egs/own_videos/run.sh --media "$work/videos" --voice egs/voxceleb/exp/voice --face "$data/models/mobileface"
  [ "$(sed 1d egs/own_videos/exp/results/suspects.tsv | cut -f 1 | grep -c /wrong-)" = 2 ]
  [ "$(wc -l <egs/own_videos/exp/results/suspects.tsv)" = 3 ]
  # somebody is named by status 0, nobody by status 3
  avsv identify --operating-point egs/own_videos/exp/operating_point.json egs/own_videos/exp/people.gallery "$work/videos.known.mp4" >"$work/known"
  head -n 1 "$work/known" | grep "$(find "$work/videos" -mindepth 1 -printf '%P\n' | cut -d / -f 1 | sort | tail -n 1)"
  avsv identify egs/own_videos/exp/people.gallery "$work/videos.stranger.mp4" && return 1
  if [ -d "$data/nsc" ]; then
    echo "== egs/nsc in six folds"
    bash egs/nsc/run.sh --nsc "$data/nsc" --systems ecapa --groups 3
    python tests/egs/check_results.py egs/nsc/exp/results/results.json nsc clean
  fi
}
for copy in killed copy; do cp -r "$work/avsv" "$work/$copy"; done   # before anything is written there
(real_data) >"$work/real_data.log" 2>&1 & real=$!
trap 'kill "$real" ${killed:-} ${copied:-} 2>/dev/null || true; rm -rf "$work"' EXIT

echo "== egs/mini on 12 people"
"${mini[@]}"
python tests/egs/check_results.py egs/mini/exp/results/results.json adapted clean noisy-0.6
python tests/egs/check_apart.py egs/mini/data

mini_killed() {
  echo "== egs/mini again, killed after 4, 16, 64, ... seconds until it gets through: the same bytes in the end"
  local seconds=4 file
  cd "$work/killed"
  until timeout -s KILL "$seconds" "${mini[@]}" >>killed.log 2>&1; do
    [ "$seconds" -lt 1024 ] || { tail -n 20 killed.log; exit 1; }
    echo "killed after $seconds s"
    seconds=$((seconds * 4))
  done
  cd "$work/undisturbed"
  find . -path "*/scores/[!.]*" -o -name "embedding*.ark" -o -name "*.onnx" -o -name results.json >"$work/compared"
  while read -r file; do cmp "$file" "$work/killed/egs/mini/exp/$file"; done <"$work/compared"
  echo "the same bytes after all, in $(wc -l <"$work/compared") files"
}
in_a_copy() {
  cd "$work/copy"
  echo "== the ablation of egs/mini, a network of each kind"
  shorter avn_f epochs=2
  shorter avn_j epochs=2 freeze_epochs=1
  bash egs/mini/local/run_ablation.sh --nj 1 --seeds "0" --heads gated --attentions 3 --ours "$work/avn_e.yaml" \
    --avn-f "$work/avn_f.yaml" --avn-j "$work/avn_j.yaml"
  echo "== a face from a voice, on the same people, with the networks that find and embed faces there"
  shorter voice_to_face epochs=2 steps_per_epoch=4
  shorter voice_embedder epochs=2
  mkdir egs/mini/data/voice_to_face
  cp -r egs/mini/corpus egs/mini/data/voice_to_face/corpus
  bash egs/mini/run_voice_to_face.sh --nj 1 --people 12 --clips 4 --show-traits 1 --held-out 2 --max-skipped 0.5 --seconds 0.5,1 \
    --face exp/face --face-detector exp/face_detector --voice "$work/voice_embedder.yaml" --generator "$work/voice_to_face.yaml"
  grep -q "^| 1:2 matching, same gender, % | 50 |" egs/mini/exp/voice_to_face/test/results.md
  clip=$(find egs/mini/corpus/test/mp4 -name "*.mp4" | sort | head -n 1)
  avsv voice-to-face draw --model egs/mini/exp/voice_to_face/gan "$clip" "$work/face.png"
  test -s "$work/face.png"
}
cp -r egs/mini/corpus "$work/killed/egs/mini/"
cp -r egs/mini/{corpus,data,exp} "$work/copy/egs/mini/"
cp -r egs/mini/exp "$work/undisturbed"
(mini_killed) >"$work/mini_killed.log" 2>&1 & killed=$!
(in_a_copy) >"$work/in_a_copy.log" 2>&1 & copied=$!

echo "== egs/mini/run_synchrony.sh, an epoch of each network"
for task in syncnet coupled_cnn; do shorter $task epochs=1; done
bash egs/mini/run_synchrony.sh --people 12 --clips 4 --held-out 2 --max-skipped 0.5 --folds 2 --pairs 3 --selections adaptive --nj 1 \
  --syncnet "$work/syncnet.yaml" --coupled "$work/coupled_cnn.yaml" --face-detector "$work/face_detector.yaml"
grep -q '"right_percent"' egs/mini/exp/synchrony/results.json

echo "== association of egs/mini on 12 people, with the front ends of the run before"
bash egs/mini/run_association.sh --people 12 --clips 4 --split "6 2 4" --max-skipped 0.5 --voice exp/voice --face exp/face \
  --face-detector exp/face_detector --systems "infonce svhf" --heads "" --resamples 50 --nj 1 \
  --train-options "epochs=2 batch_size=6"
python tests/egs/check_association.py egs/mini/exp/association/results/results.json infonce svhf

echo "== identification of the people of egs/mini, with the front ends of the run before"
bash egs/mini/run_identification.sh --sets "train test" --enroll 1 --max-skipped 0.5 --nj 1
grep -q '"dir_percent"' egs/mini/exp/identification/results/half-missing.json

echo "== voice encoders side by side, three trained for an epoch and the one of the run before"
bash egs/mini/run_voices.sh --stage 1 --held-out 2 --max-skipped 0.5 --nj 1 --networks "xvector gru gru_triplet" \
  --statistical "" --voices trained=exp/voice --lda-dim 4 --cost-clips 4 --train-options "epochs=1"
for system in xvector gru gru_triplet trained; do grep -q "^| $system | " egs/mini/exp/voices/results.md; done

echo "== the verbs that neither a recipe nor the documentation calls"
(cd egs/mini && other_verbs "$work/verbs")
echo "== the commands of the documentation"
python tests/docs/blocks.py egs/mini

wait "$real" && passed=yes || passed=no
wait "$killed" || passed=no
wait "$copied" || passed=no
cat "$work/real_data.log" "$work/mini_killed.log" "$work/in_a_copy.log"
[ "$passed" = yes ] && all_verbs "$work/verbs/run" && echo "all recipes passed"
