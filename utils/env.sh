# shellcheck shell=bash
# Sourced by the recipes' path.sh and by utils/test.sh: sets up the Python environment if necessary (see utils/install.sh for
# AVSV_VENV and the other settings) and puts `avsv` and utils/ on PATH.
#
#   . ../../utils/env.sh          with AVSV_EXTRAS=test: installs the packages of the tests, too

AVSV_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P) || return 1
export AVSV_ROOT
avsv_bin=$("$AVSV_ROOT/utils/install.sh" ${AVSV_EXTRAS:+"--$AVSV_EXTRAS"}) || return 1
avsv_bin=${avsv_bin:+$avsv_bin:}$AVSV_ROOT/utils
case $PATH: in "$avsv_bin":*) ;; *) export PATH=$avsv_bin:$PATH ;; esac
unset avsv_bin
unset PYTHONHOME            # of another interpreter; it breaks the environment's Python

export LC_ALL=C             # as in Kaldi: sort and join agree on one order everywhere
export PYTHONUTF8=1         # Python still reads and writes UTF-8
export PYTHONUNBUFFERED=1   # a job's log is up to date while it runs
