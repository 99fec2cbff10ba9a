#!/usr/bin/env bash
# Starts a Slurm and a Grid Engine on this machine, runs the tests of this folder through them, and ends them.
# Where they cannot be had it says so, and the tests are skipped.
#
#   bash tests/schedulers/run.sh           what follows goes to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. utils/env.sh

if lacking=$(bash -c '. tests/schedulers/start.sh && schedulers_can_start'); then
  folder=$(mktemp -d)
  # shellcheck source=start.sh
  . tests/schedulers/start.sh
  trap 'stop_schedulers "$folder"' EXIT
  start_schedulers "$folder"
else
  echo "skipped: no job goes through Slurm and Grid Engine here, for $lacking"
fi
# Most of the time a test waits for the cluster; the recipe's share one corpus.
python -m pytest -q "$@" tests/schedulers/test_recipe.py &
recipe=$! status=0
python -m pytest -q -n 4 "$@" tests/schedulers --ignore=tests/schedulers/test_recipe.py || status=1
wait "$recipe" || status=1
exit "$status"
