"""Noises for training, calibration and test: every type in each part, and no file in two of them."""

import json

import numpy as np
import pytest
import soundfile

from avsv.cli import main
from avsv.kaldi.tables import read_table, write_table
from tests.egs.voxceleb.scripts import prepare

PARTS = ("train", "dev", "test")


def make_noises(folder, n_files=6, rooms=("r1", "r2", "r3", "r4"), suffix=".wav"):
    """musan/ and rirs/ with n files of each type, those of rooms evenly in `rooms`."""
    places = [f"musan/{kind}/a/{kind}-{n}{suffix}" for kind in ("noise", "music", "speech") for n in range(n_files)]
    places += [f"rirs/simulated_rirs/{size}/{rooms[n % len(rooms)]}/{rooms[n % len(rooms)]}-{n}{suffix}"
               for size in ("smallroom", "mediumroom") for n in range(n_files)]  # fmt: skip
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / place, np.ones(800) * 0.1, 16000, format="WAV")
    return prepare("prepare_musan.py", folder / "musan", folder / "rirs", folder / "musan")


def test_noises_are_found_in_any_case_and_system_files_are_ignored(tmp_path):
    (tmp_path / "musan/noise/a").mkdir(parents=True)
    (tmp_path / "musan/noise/a/._noise-1.WAV").write_bytes(b"\0\5\26\7")
    status, output = make_noises(tmp_path, suffix=".WAV")
    assert status == 0 and sum(len(read_table(tmp_path / f"musan_{part}/wav.scp")) for part in PARTS) == 30
    assert "1 files of a system (hidden)" in output


@pytest.mark.parametrize("n_files", [3, 6, 16])
def test_every_part_has_every_type_of_noise_and_no_file_of_another_part(tmp_path, n_files):
    assert make_noises(tmp_path, n_files, rooms=("only",))[0] == 0
    files = [set(read_table(tmp_path / f"musan_{part}/wav.scp").values()) for part in PARTS]
    assert len(set.union(*files)) == sum(map(len, files)) == 5 * n_files
    for part, at_least in zip(PARTS, (n_files / 3, 1, 1), strict=True):
        kinds = list(read_table(tmp_path / f"musan_{part}/utt2spk").values())
        assert all(kinds.count(kind) >= at_least for kind in ("noise", "music", "speech", "rir"))


def test_rooms_are_kept_apart_if_there_are_enough(tmp_path):
    assert make_noises(tmp_path, 12)[0] == 0
    names = [read_table(tmp_path / f"musan_{part}/wav.scp") for part in PARTS]
    rooms = [{name.rpartition("-")[0] for name in part if name.startswith("rir")} for part in names]
    assert len(set.union(*rooms)) == sum(map(len, rooms)) == 8


def test_too_few_noises_to_divide_are_refused(tmp_path):
    status, output = make_noises(tmp_path, 2)
    assert status == 1 and "musan/noise" in output and "found 2" in output
    assert not (tmp_path / "musan_train").exists()


def test_damage_in_training_calibration_and_test_shares_no_source(tmp_path):
    """Of 40 clips in all conditions with sounds, the sources in utt2damage."""
    make_noises(tmp_path)
    names = [f"p{n % 4}-{n:02d}" for n in range(40)]
    write_table(tmp_path / "clean/wav.scp", {name: f"{name}.wav" for name in names})
    write_table(tmp_path / "clean/utt2spk", {name: name[:2] for name in names})
    sources = {}
    for part in PARTS:
        out = tmp_path / f"damaged_{part}"
        argv = ["damage", "--condition", "voice-noisy", "--noises", tmp_path / f"musan_{part}", tmp_path / "clean", out]
        assert main([str(word) for word in argv]) == 0
        records = [json.loads(line.partition(" ")[2]) for line in (out / "utt2damage").read_text().splitlines()]
        sources[part] = {path for record in records for path, _ in record["sources"]}
    assert all(sources.values()) and len(set.union(*sources.values())) == sum(map(len, sources.values()))
