"""utils/install.sh and utils/env.sh: what they decide, tried with a Python and a pip that only pretend."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "utils"
TOOLS = "bash cat chmod cksum dirname grep ls mkdir mktemp mv rm sed sleep tail uname".split()

# Does what install.sh asks of Python. FAKE is a folder: `calls` lists what pip was asked for, `packages` what is
# installed, and settings are files: `no-venv`, `no-gl`, `pip-says` (pip fails with this text), `slow`, `version`.
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
    """A checkout in a folder with a space, on a machine with nothing but a few tools and the pretended Python."""

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
        """Install, which must succeed: what was asked of venv and pip meanwhile."""
        self.set("calls")
        done = self.install(*arguments, **variables)
        assert done.returncode == 0, done.err
        return self.calls()

    def failed(self, *arguments, **variables):
        """Install, which must fail: what the user is told."""
        done = self.install(*arguments, **variables)
        assert (done.returncode, done.out) == (1, "")
        assert not self.stamp.exists()
        return done.err

    def calls(self):
        return (self.state / "calls").read_text().splitlines()

    def packages(self):
        return (self.state / "packages").read_text().split()


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_the_first_time_it_installs_torch_first_and_prints_the_folder_for_path(house):
    done = house.install()
    assert (done.returncode, done.out) == (0, f"{house.venv}/bin\n")
    venv, torch, editable = house.calls()
    assert venv == "venv"
    assert torch == "install -c constraints.txt torch torchaudio setuptools"
    assert editable == "install --no-build-isolation -c constraints.txt -e ."


def test_the_second_time_it_does_nothing(house):
    house.installed()
    assert house.installed() == []


@pytest.mark.parametrize("file", ["setup.py", "constraints.txt"])
def test_it_installs_again_into_the_same_environment_when_a_file_changes(house, file):
    house.installed()
    (house.root / file).write_text("changed")
    assert "venv" not in house.installed() != []
    assert house.installed() == []


def test_the_packages_of_the_tests_come_when_asked_for_and_stay_up_to_date(house):
    house.installed()
    assert house.installed("--test")[-1].endswith("-e .[test]")
    assert house.installed() == house.installed("--test") == []
    (house.root / "setup.py").write_text("changed")
    assert house.installed()[-1].endswith("-e .[test]")
    assert house.installed("--test") == []


def test_a_moved_checkout_is_set_up_anew(house):
    house.installed()
    house.root = house.root.rename(house.root.with_name("another house"))
    assert house.installed()[0] == "venv"


def test_an_interrupted_install_is_made_anew(house):
    house.installed()
    (house.venv / "avsv-unfinished").write_text("")
    assert house.installed()[0] == "venv"
    assert house.installed() == []


def test_an_environment_whose_python_is_gone_is_made_anew(house):
    house.installed()
    (house.venv / "bin/version").write_text("broken")
    assert house.installed()[0] == "venv"


def test_another_python_makes_the_environment_anew(house):
    house.installed()
    other = house.bin / "my python"
    shutil.copy(house.python, other)
    house.set("version", "3.12")
    assert house.installed(AVSV_PYTHON=str(other))[0] == "venv"
    assert house.installed(AVSV_PYTHON=str(other)) == house.installed() == []


def test_of_two_installs_at_once_one_waits_and_finds_it_done(house):
    house.set("slow")
    both = [house.start(), house.start()]
    said = [process.communicate(timeout=20) for process in both]
    assert [out for out, _ in said] == [f"{house.venv}/bin\n"] * 2
    assert sum("waiting for it" in err for _, err in said) == 1
    assert sum("-e ." in call for call in house.calls()) == 1


# Settings


def test_the_environment_may_be_elsewhere(house, tmp_path):
    elsewhere = tmp_path / "my venv"
    assert house.install(AVSV_VENV=str(elsewhere)).out == f"{elsewhere}/bin\n"
    assert not house.venv.exists()


@pytest.fixture
def other(tmp_path):
    """A second checkout on the same machine."""
    return House(tmp_path, "another house")


@pytest.mark.parametrize("end", ["finished", "interrupted"])
def test_the_environment_of_another_checkout_is_not_taken_over(house, other, tmp_path, end):
    shared = str(tmp_path / "shared venv")
    if end == "finished":
        house.installed(AVSV_VENV=shared)
    else:
        house.set("pip-says", "something went wrong")
        house.install(AVSV_VENV=shared)
        (house.state / "pip-says").unlink()
    house.set("calls")
    done = other.install(AVSV_VENV=shared)
    assert (done.returncode, done.out) == (1, "")
    assert shared in done.err and str(house.root) in done.err
    assert house.calls() == []
    house.installed(AVSV_VENV=shared)
    assert house.installed(AVSV_VENV=shared) == []


def test_of_two_checkouts_that_install_at_once_the_second_is_refused(house, other, tmp_path):
    house.set("slow")
    shared = str(tmp_path / "shared venv")
    both = [house.start(AVSV_VENV=shared), other.start(AVSV_VENV=shared)]
    codes = [process.communicate(timeout=20) and process.returncode for process in both]
    assert sorted(codes) == [0, 1]
    assert sum("-e ." in call for call in house.calls()) == 1


def test_the_environment_of_a_checkout_that_is_gone_is_taken_over(house, other, tmp_path):
    shared = str(tmp_path / "shared venv")
    house.installed(AVSV_VENV=shared)
    shutil.rmtree(house.root)
    assert other.installed(AVSV_VENV=shared)[-1].endswith("-e .")


def test_a_copied_checkout_makes_its_own_environment(house, tmp_path):
    house.installed()
    shutil.copytree(house.root, tmp_path / "copy", symlinks=True)
    house.root = tmp_path / "copy"
    assert house.installed()[0] == "venv"
    assert house.installed() == []


def test_a_link_to_the_checkout_is_the_same_checkout(house, tmp_path):
    shared = str(tmp_path / "shared venv")
    house.installed(AVSV_VENV=shared)
    (tmp_path / "link").symlink_to(house.root)
    house.root = tmp_path / "link"
    assert house.installed(AVSV_VENV=shared) == []


def test_an_environment_with_avsv_of_another_checkout_installed_by_hand_is_not_taken_over(house, other, tmp_path):
    """A real environment: what pip notes of an editable install says whose it is."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "theirs"], check=True)
    packages = next((tmp_path / "theirs/lib").glob("python3*/site-packages"))
    (packages / "avsv-1.dist-info").mkdir()
    (packages / "avsv-1.dist-info/METADATA").write_text("Name: avsv\nVersion: 1\n")
    url = f"file://{str(other.root).replace(' ', '%20')}"
    (packages / "avsv-1.dist-info/direct_url.json").write_text(f'{{"dir_info": {{"editable": true}}, "url": "{url}"}}')
    assert f"belongs to the checkout {other.root}" in house.failed(AVSV_VENV=str(tmp_path / "theirs"))


def test_without_a_home_nothing_is_written_beside_the_checkout(house):
    del house.environment["HOME"]
    house.installed()
    assert {path.name for path in house.root.iterdir()} == {
        ".venv", ".venv.lock", "avsv", "utils", "setup.py", "constraints.txt"}  # fmt: skip


def test_a_folder_that_is_no_environment_is_left_alone(house, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1").write_text("")
    assert "is no Python environment" in house.failed(AVSV_VENV=str(thesis))
    assert (thesis / "chapter1").exists()


def test_an_environment_of_the_users_is_added_to_but_never_emptied(house, tmp_path):
    theirs = tmp_path / "theirs"
    house.installed(AVSV_VENV=str(theirs))
    (theirs / "avsv-stamp").unlink()
    (theirs / "pyvenv.cfg").write_text("")
    (theirs / "avsv-unfinished").write_text("")
    assert "venv" not in house.installed(AVSV_VENV=str(theirs)) != []
    (theirs / "bin/version").write_text("broken")
    done = house.install(AVSV_VENV=str(theirs))
    assert done.returncode == 1
    assert f"the environment in {theirs} cannot be used" in done.err
    assert (theirs / "bin/avsv").exists()


def test_pytorchs_cpu_index_is_used_where_it_is_given(house):
    assert "--extra-index-url INDEX torch" in house.installed(AVSV_TORCH_INDEX="INDEX")[1]


def test_an_unknown_option_is_a_usage_error(house):
    assert house.install("--tests").returncode == 2


# onnxruntime and opencv


def test_without_a_gpu_onnxruntime_stays(house):
    house.installed()
    assert house.packages() == ["onnxruntime", "opencv-python"]


def test_with_an_nvidia_driver_onnxruntime_gpu_takes_its_place(house):
    del house.environment["AVSV_GPU"]
    (house.bin / "nvidia-smi").write_text("#!/bin/bash\n")
    (house.bin / "nvidia-smi").chmod(0o755)
    house.installed()
    assert house.packages() == ["opencv-python", "onnxruntime-gpu"]
    (house.root / "setup.py").write_text("pip puts onnxruntime beside it now, for insightface requires it")
    house.installed()
    assert house.packages().count("onnxruntime-gpu") == 1
    assert "onnxruntime" not in house.packages()


def test_an_environment_made_for_a_gpu_is_changed_back_for_a_machine_without(house):
    house.installed(AVSV_GPU="yes")
    (house.root / "setup.py").write_text("changed")
    house.installed()
    assert "onnxruntime-gpu" not in house.packages()
    assert "onnxruntime" in house.packages()


def test_without_graphical_libraries_opencv_is_the_headless_one(house):
    house.set("no-gl")
    house.installed()
    assert house.packages() == ["onnxruntime", "opencv-python-headless"]
    (house.root / "setup.py").write_text("pip puts opencv-python beside it now")
    house.installed()
    assert "opencv-python" not in house.packages()


# Failures


def test_without_a_python_it_says_which_is_needed(house):
    house.set("version", "3.9")
    said = house.failed()
    assert "Python 3.10 to 3.13 is needed; found: python3 (3.9)" in said
    assert "apt install python3" in said


def test_a_python_named_by_the_user_is_not_replaced_by_another(house):
    assert "found: python9 (not found)" in house.failed(AVSV_PYTHON="python9")


def test_a_python_that_cannot_make_environments_is_explained(house):
    house.set("no-venv")
    assert "apt install python3-venv" in house.failed()


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0", "package index could not be reached"),
        ("[Errno 28] No space left on device", "The disk is full"),
        ("[Errno 13] Permission denied: '/x'", "set AVSV_VENV to a folder that you can write"),
        ("something else", "all of pip's output is in"),
    ],
)
def test_a_failure_of_pip_is_shown_with_what_to_do_and_the_next_call_starts_anew(house, pip_says, told):
    house.set("pip-says", pip_says)
    said = house.failed()
    assert pip_says in said
    assert told in said
    (house.state / "pip-says").unlink()
    assert house.installed()[0] == "venv"


def test_offline_it_names_the_folder_that_lacks_a_wheel(house):
    house.set("pip-says", "ERROR: Could not find a version that satisfies the requirement torch")
    assert "wheels of PIP_FIND_LINKS=wheels" in house.failed(PIP_NO_INDEX="1", PIP_FIND_LINKS="wheels")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_checkout_that_cannot_be_written_is_explained(house):
    house.root.chmod(0o555)
    try:
        assert "Set AVSV_VENV to a folder that can be written" in house.failed()
    finally:
        house.root.chmod(0o755)


# AVSV_VENV=none


def test_the_active_environment_is_looked_at_and_not_changed(house):
    house.environment |= {"PATH": f"{Path(sys.executable).parent}:{house.bin}"}
    done = house.install(AVSV_VENV="none")
    # Whether avsv is installed beside the Python that runs the tests or not, it is not this house's.
    assert done.out == ""
    assert f'pip install -c "{house.root}/constraints.txt" -e "{house.root}"' in done.err
    assert not house.venv.exists()


def test_an_environment_without_avsv_is_told_how_to_get_it(house, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    house.environment |= {"PATH": f"{tmp_path}/empty/bin:{house.bin}"}
    said = house.failed("--test", AVSV_VENV="none")
    assert "avsv is not installed in the active environment" in said
    assert f'-e "{house.root}[test]"' in said


# env.sh


def test_env_sh_puts_the_environment_and_utils_on_path(house):
    source = f'. "{house.root}/utils/env.sh"'
    text = f'set -euo pipefail; {source}; {source}; echo "$PATH|$AVSV_ROOT|$LC_ALL"'
    done = subprocess.run([house.bin / "bash", "-c", text], env=house.environment, capture_output=True, text=True)
    assert done.stdout == f"{house.venv}/bin:{house.root}/utils:{house.bin}|{house.root}|C\n"


def test_env_sh_ends_a_script_when_the_install_fails(house):
    house.set("no-venv")
    text = f'set -euo pipefail; . "{house.root}/utils/env.sh"; echo on we go'
    done = subprocess.run([house.bin / "bash", "-c", text], env=house.environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
