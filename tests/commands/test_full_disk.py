"""A disk that fills up: the message names the file, no partial output remains, and the next run is complete.

Two ways to run out of space: a limit on file sizes, which works everywhere, and a small disk in memory, if the tests
may mount one.
"""

import os
import resource
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.tables import write_table

CLIPS = 24


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(CLIPS):
        soundfile.write(tmp_path / f"{i:02d}.wav", rng.normal(0, 0.1, 32000), 16000)
    write_table(tmp_path / "data" / "wav.scp", {f"p-{i:02d}": str(tmp_path / f"{i:02d}.wav") for i in range(CLIPS)})
    write_table(tmp_path / "data" / "utt2spk", {f"p-{i:02d}": "p" for i in range(CLIPS)})
    return tmp_path / "data"


def run(*arguments, most_bytes=None):
    """Status and output of a command whose files may not exceed `most_bytes`."""
    limit = None if most_bytes is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    done = subprocess.run([sys.executable, "-m", "avsv.cli", *map(str, arguments)], capture_output=True, text=True,
                          preexec_fn=limit, check=False)  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB, and a function that makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if mount.returncode:
        pytest.skip("this machine does not let the tests mount a disk in memory")
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def same_files(one, other, names):
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_an_archive_on_a_full_disk_is_an_error_and_is_written_later(data, small_disk, tmp_path):
    disk, enlarge = small_disk
    status, output = run("features", data, disk / "fbank")
    assert status == 1 and f"{disk}/fbank/feats.ark: " in output and f"free on {disk}" in output
    assert os.listdir(disk / "fbank") == [] and not (data / "feats.scp").exists()
    enlarge()
    assert run("features", data, disk / "fbank")[0] == run("features", data, tmp_path / "undisturbed")[0] == 0
    assert same_files(disk / "fbank", tmp_path / "undisturbed", ["feats.ark", "vad.ark"])


def test_a_file_that_may_not_grow_is_an_error_and_is_written_later(data, tmp_path):
    status, output = run("features", data, tmp_path / "out", most_bytes=100_000)
    assert status == 1 and f"{tmp_path}/out/feats.ark: " in output
    assert os.listdir(tmp_path / "out") == [] and not (data / "feats.scp").exists()
    assert run("features", data, tmp_path / "out")[0] == run("features", data, tmp_path / "undisturbed")[0] == 0
    assert same_files(tmp_path / "out", tmp_path / "undisturbed", ["feats.ark", "vad.ark"])


def test_scores_without_space_are_an_error(tmp_path, world):
    out = tmp_path / "scores"
    status, output = run("score", "--trials", world.trials, "--enroll", world.test, out, most_bytes=4096)
    assert status == 1 and f"{out}: " in output and not out.exists()
    assert run("score", "--trials", world.trials, "--enroll", world.test, out)[0] == 0 and out.exists()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("verb", ["plda", "lda"])
def test_a_full_disk_at_the_last_file_leaves_the_old_back_end(tmp_path, world, verb):
    """Two of three files fit; without the third they would not belong together."""
    names = [line.split()[0] for line in world.train.read_text().splitlines()]
    rng = np.random.default_rng(1)
    write_embeddings(tmp_path / "t.ark", tmp_path / "t.scp", names, rng.normal(size=(len(names), 12)))
    options = ["--utt2spk", world.utt2spk, "--text", tmp_path / "out"]
    assert run(verb, "--embeddings", world.train, *options)[0] == 0
    before = contents(tmp_path / "out")
    sizes = sorted(len(content) for name, content in before.items() if name in ("mean.vec", "transform.mat", "plda"))
    status, output = run(verb, "--embeddings", tmp_path / "t.scp", *options, most_bytes=sizes[-1] - 200)
    assert status == 1 and str(tmp_path / "out") in output
    assert contents(tmp_path / "out") == before
    assert run(verb, "--embeddings", tmp_path / "t.scp", *options)[0] == 0
    after = contents(tmp_path / "out")
    assert all(after[name] != before[name] for name in ("mean.vec", "transform.mat"))


def test_a_full_disk_leaves_the_old_noisy_set(tmp_path, data):
    write_table(data / "video.scp", {f"p-{i:02d}": f"/{'x' * 100}/{i}.mp4" for i in range(CLIPS)})
    assert run("damage", "--condition", "half-missing", data, tmp_path / "out")[0] == 0
    before = contents(tmp_path / "out")
    largest = max(len(content) for content in before.values())
    status, output = run("damage", "--condition", "half-missing", "--seed", 1, data, tmp_path / "out",
                       most_bytes=largest - 500)  # fmt: skip
    assert status == 1 and str(tmp_path / "out") in output
    assert contents(tmp_path / "out") == before
    assert run("damage", "--condition", "half-missing", "--seed", 1, data, tmp_path / "out")[0] == 0
    assert contents(tmp_path / "out")["utt2damage"] != before["utt2damage"]


def test_a_full_disk_leaves_the_old_archives(data, tmp_path):
    assert run("features", data, tmp_path / "out")[0] == 0
    before = contents(tmp_path / "out")
    soundfile.write(tmp_path / "00.wav", np.random.default_rng(9).normal(0, 0.1, 16000), 16000)
    status, output = run("features", data, tmp_path / "out", most_bytes=100_000)
    assert status == 1 and f"{tmp_path}/out/feats.ark: " in output
    assert contents(tmp_path / "out") == before and (data / "feats.scp").read_text() == before["feats.scp"].decode()


TRAIN = """
task: avn_e
data_dir: {folder}
voice: {folder}/train.scp
face: {folder}/train.scp
exp_dir: {exp}
epochs: 2
workers: 0
"""


def test_a_training_without_space_is_an_error_and_resumes_to_the_same_weights(tmp_path, world, avsv):
    names = [line.split()[0] for line in world.train.read_text().splitlines()]
    write_table(tmp_path / "utt2spk", {name: name[:-2] for name in names})
    write_table(tmp_path / "wav.scp", {name: f"{name}.wav" for name in names})
    for exp in ("full", "undisturbed"):
        (tmp_path / f"{exp}.yaml").write_text(TRAIN.format(folder=tmp_path, exp=tmp_path / exp))
    status, output = run("train", tmp_path / "full.yaml", most_bytes=100_000)
    assert status == 1 and f"{tmp_path}/full/checkpoint.pt: " in output, output
    assert not (tmp_path / "full" / "checkpoint.pt").exists() and not (tmp_path / "full" / "done").exists()
    for exp in ("full", "undisturbed"):
        status, output = avsv("train", tmp_path / f"{exp}.yaml")
        assert status == 0, output
    assert same_files(tmp_path / "full", tmp_path / "undisturbed", ["fusion.safetensors"])
