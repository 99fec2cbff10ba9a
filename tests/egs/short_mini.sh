# shellcheck shell=bash
# Sourced by run_recipes.sh and kill_recipe.sh: a copy of the checkout in $work, and egs/mini on a few people in ${mini[@]}.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$root/utils/env.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A recipe writes into its own folder; a copy of the checkout keeps the user's results out of this.
mkdir "$work/avsv"
(cd "$root" && tar -cf - --exclude=./.git --exclude='./.venv*' --exclude=./egs/*/exp --exclude=./egs/*/data \
  --exclude=./egs/*/corpus .) | tar -xf - -C "$work/avsv"
cd "$work/avsv" || exit 1
unset PYTHONDONTWRITEBYTECODE   # where it is set, every command compiles all that it imports again, 8 seconds
export AVSV_VENV=none   # the environment that env.sh just put on PATH
# With the code of the copy, unless avsv is installed there (tests/install/plain.sh) and is to be tried as it is.
[ -n "${AVSV_INSTALLED:-}" ] || export PYTHONPATH=$work/avsv

# shorter NAME KEY=VALUE ...: $work/NAME.yaml, a configuration of egs/mini with these changes
shorter() {
  local name=$1
  shift
  { echo "base: avsv/egs/mini/conf/$name.yaml"; printf '%s\n' "${@/=/: }"; } >"$work/$name.yaml"
}
# A few steps each; but a detector that has learnt nothing finds no face, and the recipe rightly stops.
for task in voice:2 face:2 face_detector:20 avn_e:2; do shorter "${task%:*}" "epochs=${task#*:}"; done
# shellcheck disable=SC2034  # read by those who source this
mini=(bash egs/mini/run.sh --people 12 --clips 4 --held-out 2 --max-skipped 0.5 --voice "$work/voice.yaml"
  --face "$work/face.yaml" --face-detector "$work/face_detector.yaml" --fusion "$work/avn_e.yaml")
