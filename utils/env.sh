# shellcheck shell=bash
# Sourced by every recipe's path.sh, and by utils/test.sh: sets up the Python environment where that is still to be done
# (see utils/install.sh for AVSV_VENV and the other settings) and puts `avsv` and utils/ on PATH.
#
#   . ../../utils/env.sh          AVSV_EXTRAS=test before it: with the packages of the tests

AVSV_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P) || return 1
export AVSV_ROOT
avsv_bin=$("$AVSV_ROOT/utils/install.sh" ${AVSV_EXTRAS:+"--$AVSV_EXTRAS"}) || return 1
avsv_bin=${avsv_bin:+$avsv_bin:}$AVSV_ROOT/utils
case $PATH: in "$avsv_bin":*) ;; *) export PATH=$avsv_bin:$PATH ;; esac
unset avsv_bin
unset PYTHONHOME            # an interpreter's own setting; a wrong one breaks the environment's Python

export LC_ALL=C             # Kaldi's rule: sort and join agree on one order everywhere
export PYTHONUTF8=1         # ... while Python reads and writes UTF-8 all the same
export PYTHONUNBUFFERED=1   # a job's log can be followed while it runs
