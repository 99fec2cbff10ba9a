#!/usr/bin/env bash
# Checks the code (ruff, shellcheck) and runs the tests in the environment of utils/install.sh.
#
#   utils/test.sh                       all tests except tests/benchmarks
#   utils/test.sh tests/utils -k run    arguments are passed on to pytest
#
# AVSV_TEST_JOBS: parallel test processes (default 2); OMP_NUM_THREADS: threads of each (default 1, as the processes
# occupy the cores already).
set -euo pipefail
case ${1:-} in
  --help|-h) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit 0 ;;
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

# shellcheck disable=SC2034  # read by env.sh
AVSV_EXTRAS="test"
# shellcheck source=utils/env.sh
. utils/env.sh
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
unset PYTHONDONTWRITEBYTECODE   # otherwise every command that a test starts would compile the package

ruff check --quiet --output-format=concise .
if command -v shellcheck >/dev/null; then
  find . \( -name '.?*' -o -name exp -o -name corpus \) -prune -o -name '*.sh' -print0 |
    xargs -0 shellcheck --severity=warning --exclude=SC2209 --external-sources --source-path=SCRIPTDIR:utils
else
  echo "test.sh: shellcheck is not installed, so the shell scripts are not checked (Debian, Ubuntu: apt install shellcheck)" >&2
fi
python -m pytest -n "${AVSV_TEST_JOBS:-2}" "$@"
