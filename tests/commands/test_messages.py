"""Messages escape control characters from untrusted files, and name paths and options."""

import numpy as np
import pytest


def test_control_characters_in_a_file_do_not_reach_the_terminal(avsv, world, tmp_path):
    (tmp_path / "trials").write_text("a b\x1b]0;title\x07 c d e\n")
    status, output = avsv("score", "--trials", tmp_path / "trials", "--enroll", world.test, tmp_path / "out")
    assert status == 1 and f"{tmp_path}/trials, line 1" in output
    assert "\x1b" not in output and "\x07" not in output and "\\x1b" in output
    (tmp_path / "utt2spk").write_text("a\x1b[2Jb\n")
    status, output = avsv("check", tmp_path)
    assert status == 1 and "\x1b" not in output


@pytest.mark.parametrize("out", ["file", "file/below", "folder"])
def test_a_file_at_the_path_of_a_folder_is_named(avsv, world, tmp_path, out):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    command = ["plda", "--embeddings", world.train, "--utt2spk", world.utt2spk]
    if out == "folder":
        command = ["score", "--trials", world.trials, "--enroll", world.test]
    status, output = avsv(*command, tmp_path / out)
    assert status == 1 and str(tmp_path / out) in output and ("folder" in output or "is a file" in output)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_message_about_a_parameter_names_the_option(avsv, world, tmp_path):
    """Library functions name the parameter `names_file`; the command line shows the option that sets it."""
    np.save(tmp_path / "x.npy", np.ones((3, 5), np.float32))
    status, output = avsv("import-embeddings", tmp_path / "x.npy", tmp_path / "out")
    assert status == 1 and "--names-file" in output and "`" not in output
    status, output = avsv("features", "--shard", "3/2", tmp_path, tmp_path / "out")
    assert status == 1 and "--shard: expected J/N" in output
