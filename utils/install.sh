#!/usr/bin/env bash
# Makes the Python environment .venv of this checkout from setup.py and constraints.txt: one command sets up everything. If
# the environment is up to date, it returns at once. It installs again if one of the two files has changed, the checkout was
# moved, or an earlier install was interrupted. A second install at the same time waits for the first.
#
#   utils/install.sh           what the recipes need (their path.sh calls this, through utils/env.sh)
#   utils/install.sh --test    and what the tests need (utils/test.sh calls this)
#
# It prints one line: the folder to put first on PATH (nothing with AVSV_VENV=none). Messages go to stderr.
#
# Environment variables, all optional:
#   AVSV_VENV=DIR          the environment's folder if not .venv (for a read-only checkout, say); relative to the checkout
#   AVSV_VENV=none         use the environment that is active; it is checked, not changed
#   AVSV_PYTHON=PROGRAM    the Python to make it with (3.10 to 3.13), if not the first one found
#   AVSV_TORCH_INDEX=URL   PyTorch's index of CPU wheels (its installation page names it): saves several GB without a GPU
#   AVSV_GPU=yes|no        install for an NVIDIA GPU or not; by default, if this machine has one
#   PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR   no network: take every package from the wheels in DIR (other PIP_* work as well)
set -euo pipefail

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." >/dev/null && pwd -P)
extras=base
case ${1:-} in
  "") ;;
  --test) extras='test' ;;
  --help|-h) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) echo "install.sh: invalid option $1; the only ones are --test and --help" >&2; exit 2 ;;
esac

venv=${AVSV_VENV:-.venv}
case $venv in none|/*) ;; *) venv=$root/$venv ;; esac
python=$venv/bin/python           # the environment's own; every package is installed through it
stamp=$venv/avsv-stamp            # written last: what is in the environment, see below
unfinished=$venv/avsv-unfinished  # present during an install; stays if that failed or was killed
log=$venv/avsv-install.log        # pip's output

# Without a home directory pip would make a folder named "~" where it runs.
if [ -z "${HOME:-}" ] || [ ! -d "$HOME" ]; then export PIP_NO_CACHE_DIR=1; fi
# The user's other pip settings (--user, --target, ...) would install packages elsewhere.
export PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USE_PEP517=1
unset PIP_TARGET PIP_PREFIX PIP_ROOT
# pip splits PIP_FIND_LINKS at spaces, and resolves a relative name from the folder that it runs in.
if [ -d "${PIP_FIND_LINKS:-}" ]; then
  PIP_FIND_LINKS=file://$(cd -- "$PIP_FIND_LINKS" >/dev/null && pwd -P)
  export PIP_FIND_LINKS=${PIP_FIND_LINKS// /%20}
fi

say() { echo "install.sh: $*" >&2; }
die() { say "$@"; exit 1; }

# Major.minor of the Python program $1; fails if it does not run.
version_of() { "$1" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

supported() { case $1 in 3.10|3.11|3.12|3.13) ;; *) return 1 ;; esac; }

# The stamp, and the file of an unfinished install, hold four lines about the inputs of the environment; the stamp has a
# fifth one with its extras.
wanted_stamp() {
  local version
  version=$(version_of "$python") || return 1
  printf '%s\n' "$venv" "python $version" "$root" "$(cat "$root/setup.py" "$root/constraints.txt" | cksum)"
}

up_to_date() {
  [ -f "$stamp" ] && [ ! -e "$unfinished" ] || return 1
  local wanted have has_extras
  wanted=$(wanted_stamp) || return 1
  have=$(sed -n 1,4p "$stamp")
  has_extras=$(sed -n 5p "$stamp")
  [ "$wanted" = "$have" ] || return 1
  [ "$extras" = base ] || [ "$has_extras" = test ] || return 1
  [ -z "${AVSV_PYTHON:-}" ] || [ "python $(version_of "$AVSV_PYTHON")" = "$(sed -n 2p "$stamp")" ]
}

# The checkout that an environment was made for, or that avsv was installed from by hand; empty if unknown.
owner() {
  local made=$stamp
  [ -f "$stamp" ] || made=$unfinished
  if [ -s "$made" ]; then   # line 1 is its folder; it differs in a copied checkout, and a copied environment does not work
    [ "$(sed -n 1p "$made")" != "$venv" ] || sed -n 3p "$made"
  elif [ -x "$python" ]; then
    "$python" -I -c 'import importlib.metadata, json, urllib.parse
url = json.loads(importlib.metadata.distribution("avsv").read_text("direct_url.json"))["url"]
print(urllib.parse.unquote(url.removeprefix("file://")))' 2>/dev/null || true
  fi
}

# Two checkouts must not share an environment: each install would replace the other's avsv.
refuse_others() {
  local other
  other=$(owner)
  if [ -z "$other" ] || [ "$other" = "$root" ] || [ ! -e "$other/setup.py" ] || [ "$other" -ef "$root" ]; then return; fi
  die "the environment $venv belongs to the checkout $other, which would then run the code of $root." \
    "Set AVSV_VENV to another folder (unset, it is .venv in each checkout), or remove $venv."
}

# AVSV_VENV=none: checks that every package that avsv requires is present, and that the command is on PATH.
check_active() {
  local active
  active=$(command -v python || command -v python3) || die "AVSV_VENV=none, but no Python is on PATH: activate the environment first."
  "$active" - "$root" "$extras" <<'PYTHON' >&2 || exit 1
import re, shutil, sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

sys.path = [p for p in sys.path if p]  # a package in the current folder is not installed
root, extras = sys.argv[1:]
remedy = f'Run: python -m pip install -c "{root}/constraints.txt" -e "{root}{"[test]" if extras == "test" else ""}"'
modules = {"opencv-python": "cv2", "pyyaml": "yaml", "pillow": "PIL", "scikit-learn": "sklearn", "scikit-image": "skimage",
           "pytest-xdist": "xdist"}
where = f"the active environment ({sys.prefix}, as AVSV_VENV=none asks)"
try:
    needs = requires("avsv") or []
except PackageNotFoundError:
    sys.exit(f"install.sh: avsv is not installed in {where}. {remedy}")
needs = [n for n in needs if "extra ==" not in n or (extras == "test" and re.search("extra == .test.", n))]
names = [re.match(r"[\w.-]+", n).group(0).lower() for n in needs]
absent = [n for n in names if not find_spec(modules.get(n, n.replace("-", "_")))]
if absent:
    sys.exit(f"install.sh: {where} lacks {', '.join(absent)}. {remedy}")
if not shutil.which("avsv"):
    sys.exit(f"install.sh: avsv is in {where}, but its command is not on PATH: activate the environment.")
code = find_spec("avsv").origin
if not code or not code.startswith(root + "/"):
    print(f"install.sh: {where} runs the code of {code}, not this checkout's. To change that: {remedy[5:]}")
PYTHON
}

# One install at a time. The lock lasts as long as file descriptor 9, even in a pip that outlives this shell. Python takes
# it because not every system has flock(1).
lock() {
  local any=$1 code=0
  { mkdir -p -- "$(dirname -- "$venv")" && : >>"$venv.lock"; } 2>/dev/null || die "cannot write $venv.lock: no permission or a full disk. Set AVSV_VENV to a folder that can be written."
  exec 9>>"$venv.lock"
  "$any" -I - <<'PYTHON' || code=$?
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("install.sh: another install is under way; waiting for it", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    sys.exit(3)
PYTHON
  case $code in
    0) ;;
    3) say "cannot lock $venv.lock (the file system does not support it): do not run two installs at the same time" ;;
    *) die "could not lock $venv.lock with $any" ;;
  esac
}

# The first Python of a supported version that can make environments.
find_python() {
  local candidate version seen="" no_venv=""
  for candidate in ${AVSV_PYTHON:+"$AVSV_PYTHON"} python3 python3.12 python3.11 python3.10 python3.13 python; do
    version=$(version_of "$candidate") || version="not found"
    if ! supported "$version"; then
      seen="$seen $candidate ($version)"
    elif ! "$candidate" -I -c 'import venv, ensurepip' 2>/dev/null; then
      no_venv="$no_venv $candidate"
    else
      command -v -- "$candidate"
      return
    fi
    [ -z "${AVSV_PYTHON:-}" ] || break
  done
  if [ -n "$no_venv" ]; then
    die "cannot make an environment with$no_venv: the venv module is not installed. On Debian or Ubuntu: apt install python3-venv." \
      "Or set AVSV_PYTHON to another Python 3.10 to 3.13."
  fi
  die "Python 3.10 to 3.13 is needed; found:$seen. Install one (Debian or Ubuntu: apt install python3 python3-venv;" \
    "conda: conda create -n avsv python=3.11) and set AVSV_PYTHON to it if it is not on PATH."
}

# Only environments that this script made are emptied: those with the prompt avsv, and .venv in the checkout.
ours() { [ "$venv" = "$root/.venv" ] || grep -q '^prompt = .*avsv' "$venv/pyvenv.cfg"; }

# A working environment, ours or the user's, is kept; one that is broken, half installed or moved is rebuilt.
make_venv() {
  local version base output why=""
  if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ] && [ -n "$(ls -A -- "$venv" 2>/dev/null)" ]; then
    die "$venv exists but is not a Python environment: remove it, or set AVSV_VENV to another folder."
  fi
  if [ -f "$venv/pyvenv.cfg" ]; then
    version=$(version_of "$python") || version=none
    if [ "$version" = none ]; then why="its Python no longer runs"
    elif ! supported "$version"; then why="it has Python $version"
    elif [ -n "${AVSV_PYTHON:-}" ] && [ "$(version_of "$AVSV_PYTHON")" != "$version" ]; then why="it has Python $version"
    elif [ -e "$unfinished" ]; then why="its install was interrupted"
    elif ! "$python" -I -m pip --version >/dev/null 2>&1; then why="it has no pip"
    elif [ -f "$stamp" ] && [ "$(sed -n 1p "$stamp")" != "$venv" ]; then why="it was moved"
    else return 0; fi
    if ! ours; then
      [ "$why" = "its install was interrupted" ] && return 0
      die "the environment in $venv cannot be used: $why. Remove it, or set AVSV_VENV to another folder."
    fi
    say "rebuilding $venv: $why"
  fi
  base=$(find_python)
  if ! output=$("$base" -m venv --clear --prompt avsv -- "$venv" 2>&1); then
    printf '%s\n' "$output" | tail -n 5 >&2
    hint "$output"
    die "could not make the environment $venv with $base."
  fi
}

# Advice about a failure, guessed from the output of pip or venv ($1).
hint() {
  case $1 in
    *"No space left"*|*"Disk quota"*)
      say "The disk is full: the environment needs 2 GB, or 8 GB with PyTorch for CUDA (AVSV_TORCH_INDEX avoids that), and" \
        "as much in TMPDIR for a while. Free some, or set AVSV_VENV and TMPDIR to folders elsewhere." ;;
    *"ermission denied"*|*"Read-only file system"*)
      say "No permission to write: set AVSV_VENV to a folder that you can write." ;;
    *"ensurepip"*)
      say "Python's venv module is incomplete. On Debian or Ubuntu: apt install python3-venv." ;;
    *"No matching distribution"*|*"Could not find a version"*|*"onnection"*|*"name resolution"*|*"timed out"*|*"SSLError"*|*"ProxyError"*)
      if [ -n "${PIP_NO_INDEX:-}" ]; then
        say "A package is not among the wheels of PIP_FIND_LINKS=${PIP_FIND_LINKS:-} (PIP_NO_INDEX is set). On a machine with" \
          "network, same system and Python: pip download -d wheels -c constraints.txt \".[test]\" setuptools opencv-python-headless"
      else
        say "The package index could not be reached, or lacks a package. Try again with network (behind a proxy: set https_proxy);" \
          "without any: PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR, where DIR holds the wheels."
      fi ;;
    *) ;;
  esac
}

# pip, with its output in the log. -I: packages in PYTHONPATH or ~/.local do not count as installed.
pip() {
  printf '\n== pip %s\n' "$*" >>"$log"
  "$python" -I -m pip "$@" >>"$log" 2>&1
}

pip_or_die() {
  pip "$@" && return
  tail -n 15 -- "$log" >&2
  hint "$(tail -n 40 -- "$log")"
  die "could not install the packages; all of pip's output is in $log"
}

# Installed versions of the given packages, one "name version" per line.
installed() {
  "$python" -I - "$@" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version
for name in sys.argv[1:]:
    try:
        print(name, version(name))
    except PackageNotFoundError:
        pass
PYTHON
}

imports() { "$python" -I -c "import $1" >>"$log" 2>&1; }

nvidia_driver() {
  case ${AVSV_GPU:-} in yes) return 0 ;; no) return 1 ;; esac
  [ -e /proc/driver/nvidia/version ] || nvidia-smi -L >/dev/null 2>&1
}

# onnxruntime (required by insightface) and onnxruntime-gpu share a folder, and if both are installed the CPU build wins
# silently: keep exactly one. The GPU build is downloaded before the other is removed.
one_onnxruntime() {
  local have wheels
  have=$(installed onnxruntime onnxruntime-gpu)
  if nvidia_driver; then
    wheels=$(mktemp -d)
    if pip download --no-deps -c constraints.txt -d "$wheels" onnxruntime-gpu; then
      pip_or_die uninstall -y onnxruntime onnxruntime-gpu
      pip_or_die install --no-deps "$wheels"/*.whl
    else
      say "onnxruntime-gpu is not available for this machine (see $log): face embedding will run on the CPU"
    fi
    rm -rf -- "$wheels"
  elif [ "${have#*onnxruntime-gpu}" != "$have" ]; then
    pip_or_die uninstall -y onnxruntime onnxruntime-gpu
    pip_or_die install --no-deps -c constraints.txt onnxruntime
  fi
}

# opencv-python (required by insightface) needs libGL.so.1, which servers lack; opencv-python-headless does not need
# it. The two also share a folder. avsv opens no windows.
one_opencv() {
  local have
  have=$(installed opencv-python-headless)
  if [ -n "$have" ] || ! imports cv2; then
    pip_or_die uninstall -y opencv-python opencv-python-headless
    pip_or_die install --no-deps -c constraints.txt opencv-python-headless
  fi
}

install_packages() {
  local torch_index=() of_test=""
  [ -z "${AVSV_TORCH_INDEX:-}" ] || torch_index=(--extra-index-url "$AVSV_TORCH_INDEX")
  [ "$extras" = base ] || of_test="[test]"
  say "installing Python packages into $venv (one to five minutes; pip's output: $log)"
  if [ -z "${AVSV_TORCH_INDEX:-}${PIP_NO_INDEX:-}" ] && [ "$(uname -s)" = Linux ] && ! nvidia_driver &&
    [ -z "$(installed torch)" ]; then
    say "no NVIDIA driver here: AVSV_TORCH_INDEX can save several GB, see utils/install.sh --help"
  fi
  wanted_stamp >"$unfinished"
  : >"$log"
  cd -- "$root"
  # torch first, alone, from its index; its setuptools then builds avsv, so offline installs need no second one
  pip_or_die install -c constraints.txt ${torch_index[@]+"${torch_index[@]}"} torch torchaudio setuptools
  # Editable: edits to avsv/ take effect at once. setuptools writes its files into the environment, not into the checkout,
  # which may be read-only.
  mkdir -p -- "$venv/build"
  printf '[egg_info]\negg_base = %s\n[build]\nbuild_base = %s\n' "$venv/build" "$venv/build" >"$venv/build/setup.cfg"
  DIST_EXTRA_CONFIG=$venv/build/setup.cfg \
    pip_or_die install --no-build-isolation -c constraints.txt -e ".$of_test"
  # makes `import torchaudio` work although its library does not match this torch
  "$python" -I -c 'import shutil, sysconfig; shutil.copy("avsv/avsv-torchaudio.pth", sysconfig.get_path("purelib"))'
  one_onnxruntime
  one_opencv
  local module
  for module in torch torchaudio speechbrain cv2 onnxruntime soundfile av avsv.cli; do
    imports "$module" && continue
    tail -n 15 -- "$log" >&2
    die "the packages are installed, but $module cannot be imported: see above."
  done
  [ -x "$venv/bin/avsv" ] || die "the packages are installed, but $venv/bin/avsv is missing: see $log"
  { wanted_stamp; echo "$extras"; } >"$stamp.new"
  rm -f -- "$unfinished"
  mv -- "$stamp.new" "$stamp"
}

if [ "$venv" = none ]; then
  check_active
  exit 0
fi
if ! up_to_date; then
  refuse_others
  # The environment's own Python is the last resort: another install may be rebuilding it at this moment.
  any_python=$(find_python 2>/dev/null) || any_python=$python
  version_of "$any_python" >/dev/null || any_python=$(find_python)  # fails, and says what is missing
  lock "$any_python"
  if ! up_to_date; then  # the install that we waited for may have done it
    refuse_others
    # Test packages that are already installed stay up to date, too.
    [ ! -f "$stamp" ] || [ "$(sed -n 5p "$stamp")" != test ] || extras='test'
    make_venv
    install_packages
    say "done"
  fi
fi
echo "$venv/bin"
