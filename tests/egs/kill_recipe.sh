#!/usr/bin/env bash
# Kills egs/mini (12 people, a few training steps) with SIGKILL at random moments of every stage. The final data directories,
# archives, models, scores and results must have the same bytes as those of an undisturbed run.
#
#   bash tests/egs/kill_recipe.sh            50 kills
#   bash tests/egs/kill_recipe.sh 200 7      200 kills, seed 7
#
# The kills alternate between run.sh alone, one of its child processes, and all of them at once. The seed sets the moments (as
# a share of the stage's time); the state of the processes at that moment still depends on the machine.
set -euo pipefail
kills=${1:-50}
RANDOM=${2:-0}
# shellcheck source=tests/egs/short_mini.sh
. "$(dirname "${BASH_SOURCE[0]}")/short_mini.sh"

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { print b - a }'; }
below() { local child; for child in $(cat "/proc/$1/task/"*/children 2>/dev/null); do echo "$child"; below "$child"; done; }

echo "== undisturbed"
declare -A takes   # seconds of each stage
for ((stage = 0; stage <= 10; stage++)); do
  begin=$(now)
  "${mini[@]}" --stage "$stage" --stop-stage "$stage" >"$work/undisturbed.log" 2>&1 || { cat "$work/undisturbed.log"; exit 1; }
  takes[$stage]=$(since "$begin")
done
mkdir undisturbed
mv egs/mini/exp egs/mini/data egs/mini/corpus undisturbed

done=0 hit_run=0 hit_one=0 hit_all=0
for ((stage = 0; stage <= 10; stage++)); do
  while ((done < kills * (stage + 1) / 11)); do
    begin=$(now)
    "${mini[@]}" --stage "$stage" --stop-stage "$stage" >"$work/killed.log" 2>&1 &
    run=$!
    moment=$(awk -v t="${takes[$stage]}" -v r="$RANDOM" 'BEGIN { print t * r / 32768 }')
    while kill -0 "$run" 2>/dev/null && awk -v a="$(since "$begin")" -v b="$moment" 'BEGIN { exit !(a < b) }'; do sleep 0.02; done
    mapfile -t others < <(below "$run")
    case $((done % 3)) in
      0) victims=("$run") how=hit_run ;;
      1) victims=("${others[@]:+${others[RANDOM % ${#others[@]}]}}") how=hit_one ;;
      2) victims=("$run" "${others[@]}") how=hit_all ;;
    esac
    if [ -n "${victims[*]}" ] && kill -KILL "${victims[@]}" 2>/dev/null; then
      done=$((done + 1)) && declare "$how=$((${!how} + 1))"
      wait "$run" 2>/dev/null || true
    elif wait "$run"; then
      takes[$stage]=$(since "$begin")   # the stage ended before the kill: less work is left now
    else
      tail -n 20 "$work/killed.log"; exit 1
    fi
  done
  "${mini[@]}" --stage "$stage" --stop-stage "$stage" >"$work/killed.log" 2>&1 || { tail -n 20 "$work/killed.log"; exit 1; }
  echo "stage $stage done, $done kills so far"
done

compared=0
while read -r file; do
  cmp "undisturbed/$file" "egs/mini/$file"
  compared=$((compared + 1))
done < <(cd undisturbed && find . -type f ! -path '*/log/*' ! -name '*.log' ! -name 'history.jsonl' ! -name 'curves.*' \
  ! -name 'events.*' ! -name run.json ! -name checkpoint.pt ! -name '.*' ! -path '*/results/*' -print)
cmp undisturbed/exp/results/results.json egs/mini/exp/results/results.json
echo "$done kills ($hit_run of run.sh, $hit_one of one process below, $hit_all of all at once): $compared files are the same bytes"
