#!/usr/bin/env bash
# Makes the environment that a user has after a plain `pip install .`: from a fresh clone, not editable, without the packages
# of the tests. tests/egs/run_recipes.sh then runs every verb in it:
#
#   bash tests/install/plain.sh DIR
#   PATH=DIR/bin:$PATH AVSV_VENV=none AVSV_INSTALLED=1 bash tests/egs/run_recipes.sh
set -euo pipefail
venv=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

git clone --quiet "$root" "$work/clone"
"${AVSV_PYTHON:-python3}" -m venv "$venv"
# The constraints are for the same figures each time; without byte code it takes half the time.
"$venv/bin/python" -m pip install --quiet --no-compile -c "$work/clone/constraints.txt" \
  ${AVSV_TORCH_INDEX:+--extra-index-url "$AVSV_TORCH_INDEX"} "$work/clone"
rm -rf "$work/clone"

cd /
"$venv/bin/python" -I - "$venv" <<'PYTHON'
import importlib, re, sys
from importlib.metadata import distributions, requires

for name in ("torchaudio", "speechbrain", "avsv"):
    importlib.import_module(name)
venv, code = sys.argv[1], sys.modules["avsv"].__file__
assert code.startswith(venv), f"avsv is run from {code}, not from {venv}"
of_tests = {re.match(r"[\w-]+", line)[0] for line in requires("avsv") if "extra ==" in line}
# insightface and speechbrain bring the first two, older Pythons the third
by_others = {"scikit-image", "hyperpyyaml", "setuptools"}
present = of_tests & {each.name.lower() for each in distributions()} - by_others
assert not present, f"a plain install must not bring {present}"
PYTHON
