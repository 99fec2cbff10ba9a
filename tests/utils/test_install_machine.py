"""utils/install.sh and env.sh on machines with and without a GPU, libraries, a Python, disk space."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# onnxruntime and opencv


def test_without_a_gpu_onnxruntime_is_kept(house):
    house.installed()
    assert house.packages() == ["onnxruntime", "opencv-python"]


def test_with_an_nvidia_driver_onnxruntime_gpu_replaces_it(house):
    del house.environment["AVSV_GPU"]
    (house.bin / "nvidia-smi").write_text("#!/bin/bash\n")
    (house.bin / "nvidia-smi").chmod(0o755)
    house.installed()
    assert house.packages() == ["opencv-python", "onnxruntime-gpu"]
    (house.root / "setup.py").write_text("pip puts onnxruntime beside it now, for insightface requires it")
    house.installed()
    assert house.packages().count("onnxruntime-gpu") == 1
    assert "onnxruntime" not in house.packages()


def test_an_environment_for_a_gpu_is_changed_back_on_a_machine_without_one(house):
    house.installed(AVSV_GPU="yes")
    (house.root / "setup.py").write_text("changed")
    house.installed()
    assert "onnxruntime-gpu" not in house.packages()
    assert "onnxruntime" in house.packages()


def test_without_graphical_libraries_headless_opencv_is_installed(house):
    house.set("no-gl")
    house.installed()
    assert house.packages() == ["onnxruntime", "opencv-python-headless"]
    (house.root / "setup.py").write_text("pip puts opencv-python beside it now")
    house.installed()
    assert "opencv-python" not in house.packages()


# Failures


def test_without_a_python_the_message_names_the_versions(house):
    house.set("version", "3.9")
    stderr = house.failed()
    assert "Python 3.10 to 3.13 is needed; found: python3 (3.9)" in stderr
    assert "apt install python3" in stderr


def test_a_python_named_by_the_user_is_not_replaced_by_another(house):
    assert "found: python9 (not found)" in house.failed(AVSV_PYTHON="python9")


def test_a_python_that_cannot_make_environments_is_explained(house):
    house.set("no-venv")
    assert "apt install python3-venv" in house.failed()


@pytest.mark.parametrize(
    ("pip_says", "advice"),
    [
        ("ERROR: No matching distribution found for torch==2.13.0", "package index could not be reached"),
        ("[Errno 28] No space left on device", "The disk is full"),
        ("[Errno 13] Permission denied: '/x'", "set AVSV_VENV to a folder that you can write"),
        ("something else", "all of pip's output is in"),
    ],
)
def test_a_pip_failure_is_shown_with_advice_and_the_next_call_starts_over(house, pip_says, advice):
    house.set("pip-says", pip_says)
    stderr = house.failed()
    assert pip_says in stderr
    assert advice in stderr
    (house.state / "pip-says").unlink()
    assert house.installed()[0] == "venv"


def test_offline_the_message_names_the_folder_without_the_wheel(house):
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


def test_the_active_environment_is_checked_but_not_changed(house):
    house.environment |= {"PATH": f"{Path(sys.executable).parent}:{house.bin}"}
    done = house.install(AVSV_VENV="none")
    # If avsv is installed beside the Python that runs the tests, it belongs to another checkout.
    assert done.out == ""
    assert f'pip install -c "{house.root}/constraints.txt" -e "{house.root}"' in done.err
    assert not house.venv.exists()


def test_an_environment_without_avsv_gets_an_install_command(house, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    house.environment |= {"PATH": f"{tmp_path}/empty/bin:{house.bin}"}
    stderr = house.failed("--test", AVSV_VENV="none")
    assert "avsv is not installed in the active environment" in stderr
    assert f'-e "{house.root}[test]"' in stderr


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
