"""utils/install.sh: when an environment is made, and which checkout owns it, with a fake Python and pip."""

import shutil
import subprocess
import sys

import pytest

from tests.utils.house import House


def test_the_first_call_installs_torch_first_and_prints_the_folder_for_path(house):
    done = house.install()
    assert (done.returncode, done.out) == (0, f"{house.venv}/bin\n")
    venv, torch, editable = house.calls()
    assert venv == "venv"
    assert torch == "install -c constraints.txt torch torchaudio setuptools"
    assert editable == "install --no-build-isolation -c constraints.txt -e ."


def test_the_second_call_does_nothing(house):
    house.installed()
    assert house.installed() == []


@pytest.mark.parametrize("file", ["setup.py", "constraints.txt"])
def test_it_installs_again_into_the_same_environment_when_a_file_changes(house, file):
    house.installed()
    (house.root / file).write_text("changed")
    assert "venv" not in house.installed() != []
    assert house.installed() == []


def test_test_packages_are_installed_on_request_and_kept_up_to_date(house):
    house.installed()
    assert house.installed("--test")[-1].endswith("-e .[test]")
    assert house.installed() == house.installed("--test") == []
    (house.root / "setup.py").write_text("changed")
    assert house.installed()[-1].endswith("-e .[test]")
    assert house.installed("--test") == []


def test_a_moved_checkout_is_set_up_again(house):
    house.installed()
    house.root = house.root.rename(house.root.with_name("another house"))
    assert house.installed()[0] == "venv"


def test_an_interrupted_install_is_started_over(house):
    house.installed()
    (house.venv / "avsv-unfinished").write_text("")
    assert house.installed()[0] == "venv"
    assert house.installed() == []


def test_an_environment_without_its_python_is_rebuilt(house):
    house.installed()
    (house.venv / "bin/version").write_text("broken")
    assert house.installed()[0] == "venv"


def test_another_python_rebuilds_the_environment(house):
    house.installed()
    other = house.bin / "my python"
    shutil.copy(house.python, other)
    house.set("version", "3.12")
    assert house.installed(AVSV_PYTHON=str(other))[0] == "venv"
    assert house.installed(AVSV_PYTHON=str(other)) == house.installed() == []


def test_of_two_concurrent_installs_the_second_waits_and_does_nothing(house):
    house.set("slow")
    both = [house.start(), house.start()]
    outputs = [process.communicate(timeout=20) for process in both]
    assert [out for out, _ in outputs] == [f"{house.venv}/bin\n"] * 2
    assert sum("waiting for it" in err for _, err in outputs) == 1
    assert sum("-e ." in call for call in house.calls()) == 1


# Settings


def test_the_environment_may_be_in_another_folder(house, tmp_path):
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


def test_of_two_checkouts_that_install_concurrently_the_second_is_refused(house, other, tmp_path):
    house.set("slow")
    shared = str(tmp_path / "shared venv")
    both = [house.start(AVSV_VENV=shared), other.start(AVSV_VENV=shared)]
    codes = [process.communicate(timeout=20) and process.returncode for process in both]
    assert sorted(codes) == [0, 1]
    assert sum("-e ." in call for call in house.calls()) == 1


def test_the_environment_of_a_deleted_checkout_is_taken_over(house, other, tmp_path):
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


def test_an_environment_with_another_checkout_installed_manually_is_not_taken_over(house, other, tmp_path):
    """A real environment: pip's record of an editable install names the checkout."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "theirs"], check=True)
    packages = next((tmp_path / "theirs/lib").glob("python3*/site-packages"))
    (packages / "avsv-1.dist-info").mkdir()
    (packages / "avsv-1.dist-info/METADATA").write_text("Name: avsv\nVersion: 1\n")
    url = f"file://{str(other.root).replace(' ', '%20')}"
    (packages / "avsv-1.dist-info/direct_url.json").write_text(f'{{"dir_info": {{"editable": true}}, "url": "{url}"}}')
    assert f"belongs to the checkout {other.root}" in house.failed(AVSV_VENV=str(tmp_path / "theirs"))


def test_without_a_home_folder_nothing_is_written_beside_the_checkout(house):
    del house.environment["HOME"]
    house.installed()
    assert {path.name for path in house.root.iterdir()} == {
        ".venv", ".venv.lock", "avsv", "utils", "setup.py", "constraints.txt"}  # fmt: skip


def test_a_folder_without_an_environment_is_left_alone(house, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1").write_text("")
    assert str(thesis) in house.failed(AVSV_VENV=str(thesis))
    assert (thesis / "chapter1").exists()


def test_a_users_own_environment_is_added_to_but_never_emptied(house, tmp_path):
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


def test_pytorchs_cpu_index_is_used_if_given(house):
    assert "--extra-index-url INDEX torch" in house.installed(AVSV_TORCH_INDEX="INDEX")[1]


def test_an_unknown_option_is_a_usage_error(house):
    assert house.install("--tests").returncode == 2
