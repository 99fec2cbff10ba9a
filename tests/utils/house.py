"""A checkout on a machine with a fake Python and pip, to test the decisions of utils/install.sh."""

import shutil
import subprocess
import sys
from pathlib import Path

UTILS = Path(__file__).parents[2] / "utils"
TOOLS = "bash cat chmod cksum dirname grep ls mkdir mktemp mv rm sed sleep tail uname".split()

# Imitates the Python calls of install.sh. FAKE is a folder: `calls` lists the requests to pip, `packages` the installed
# packages, and settings are files: `no-venv`, `no-gl`, `pip-says` (pip fails with this text), `slow`, `version`.
FAKE_PYTHON = r"""#!/bin/bash
state=$FAKE
version=$(cat "$state/version" 2>/dev/null || echo 3.11)
here=$(dirname "$0")
[ ! -f "$here/version" ] || version=$(cat "$here/version")
case "$*" in
  "-I -S -c import sys;"*) [ "$version" != broken ] && echo "$version" ;;
  "-I -c import venv, ensurepip") [ ! -e "$state/no-venv" ] ;;
  "-m venv --clear --prompt avsv -- "*)
    echo "venv" >>"$state/calls"
    venv=${*: -1}
    rm -rf "$venv"
    mkdir -p "$venv/bin" || exit 1
    echo "prompt = 'avsv'" >"$venv/pyvenv.cfg"
    echo "$version" >"$venv/bin/version"
    cat "$0" >"$venv/bin/python"
    chmod +x "$venv/bin/python"
    : >"$state/packages"
    ;;
  "-I -m pip --version") ;;
  "-I -m pip "*)
    shift 3
    echo "$*" >>"$state/calls"
    [ ! -e "$state/slow" ] || sleep 0.4
    if [ -e "$state/pip-says" ]; then cat "$state/pip-says"; exit 1; fi
    case "$*" in
      *"-e ."*) : >"$here/avsv"; chmod +x "$here/avsv"; printf 'onnxruntime\nopencv-python\n' >>"$state/packages" ;;
      download*) : >"${*: -2:1}/onnxruntime_gpu-1.whl" ;;
      uninstall*) shift 2; for name; do sed -i "/^$name$/d" "$state/packages"; done ;;
      *onnxruntime_gpu*) echo onnxruntime-gpu >>"$state/packages" ;;
      *--no-deps*) echo "${*: -1}" >>"$state/packages" ;;
    esac ;;
  "-I -c import cv2") ! { [ -e "$state/no-gl" ] && grep -qx opencv-python "$state/packages"; } ;;
  "-I -c import "*) ;;
  "-I -") exec REAL "$@" ;;
  "-I - "*) shift 2; for name; do ! grep -qx "$name" "$state/packages" || echo "$name 1"; done ;;
  "-"*) exec REAL "$@" ;;
  *) echo "unexpected: $*" >&2; exit 9 ;;
esac
"""


class House:
    """A checkout in a folder with a space in its name, on a machine with only some tools and the fake Python."""

    def __init__(self, folder: Path, name: str = "a house"):
        self.root, self.bin, self.state = folder / name, folder / "bin", folder / "state"
        for each in (self.root / "utils", self.root / "avsv", self.bin, self.state):
            each.mkdir(parents=True, exist_ok=True)
        for name in ("install.sh", "env.sh"):
            shutil.copy(UTILS / name, self.root / "utils" / name)
        for name in ("setup.py", "constraints.txt"):
            (self.root / name).write_text(name)
        for tool in TOOLS:
            if not (self.bin / tool).exists():
                (self.bin / tool).symlink_to(shutil.which(tool))
        self.python = self.bin / "python3"
        self.python.write_text(FAKE_PYTHON.replace("REAL", sys.executable))
        self.python.chmod(0o755)
        self.set("packages", "")
        self.venv = self.root / ".venv"
        self.stamp = self.venv / "avsv-stamp"
        self.environment = {"PATH": str(self.bin), "FAKE": str(self.state), "HOME": str(folder), "AVSV_GPU": "no"}

    def set(self, name, text=""):
        (self.state / name).write_text(text)

    def start(self, *arguments, **variables):
        return subprocess.Popen(
            [self.bin / "bash", self.root / "utils/install.sh", *arguments],
            env=self.environment | variables, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def install(self, *arguments, **variables):
        process = self.start(*arguments, **variables)
        process.out, process.err = process.communicate(timeout=20)
        return process

    def installed(self, *arguments, **variables):
        """Install, which must succeed; returns the calls of venv and pip."""
        self.set("calls")
        done = self.install(*arguments, **variables)
        assert done.returncode == 0, done.err
        return self.calls()

    def failed(self, *arguments, **variables):
        """Run the installation, which must fail, and return its message."""
        done = self.install(*arguments, **variables)
        assert (done.returncode, done.out) == (1, "")
        assert not self.stamp.exists()
        return done.err

    def calls(self):
        return (self.state / "calls").read_text().splitlines()

    def packages(self):
        return (self.state / "packages").read_text().split()
