"""avsv noise-statistics against NumPy on the same embeddings."""

import json

import numpy as np
import pytest

from avsv.kaldi.embeddings import write_embeddings
from avsv.training.noise_statistics import read_noise

UTTS = [f"u{i:02d}" for i in range(12)]


@pytest.fixture
def sets(tmp_path):
    rng = np.random.default_rng(0)
    clean = rng.normal(size=(12, 4)).astype(np.float32)
    noisy = (clean + rng.normal(size=(12, 4)) + 2).astype(np.float32)
    for name, vectors in (("clean", clean), ("noisy", noisy)):
        (tmp_path / name).mkdir()
        write_embeddings(tmp_path / name / "e.ark", tmp_path / name / "e.scp", UTTS, vectors)
    table = {}
    for i, utt in enumerate(UTTS):
        kind = ["babble", "music", "missing"][i % 3]
        more = {} if kind == "missing" else {"sources": [["n.wav", 0.5]], "snr": 5}
        table[utt] = {"modality": "voice", "kind": kind, **more}
    table[UTTS[3]] = {"modality": "face", "kind": "jpeg", "quality": 5}
    (tmp_path / "utt2damage").write_text("".join(f"{utt} {json.dumps(what)}\n" for utt, what in table.items()))
    (tmp_path / "noisy/utt2snr").write_text("".join(f"{utt} {i + 1}\n" for i, utt in enumerate(UTTS) if i != 4))
    return tmp_path, clean, noisy


def test_kinds_are_read_from_utt2damage(sets, avsv):
    folder, clean, noisy = sets
    status, output = avsv("noise-statistics", "--modality", "voice", "--utt2damage", folder / "utt2damage", "--quality",
                        "log:utt2snr", folder / "clean/e.scp", folder / "noisy/e.scp", folder / "out.npz")  # fmt: skip
    assert status == 0, output
    assert "babble 3, music 4" in output
    noise = read_noise(folder / "out.npz")
    assert noise.kinds == ("babble", "music") and noise.counts.tolist() == [3, 4] and noise.quality == ("log:utt2snr",)
    for row, places in enumerate([[0, 6, 9], [1, 4, 7, 10]]):  # clip 3 has its face damaged
        change = noisy[places] - clean[places]
        assert noise.mean[row] == pytest.approx(change.mean(0), abs=1e-6)
        assert noise.std[row] == pytest.approx(change.std(0), abs=1e-6)
        quality = np.log([i + 1 for i in places if i != 4])
        assert noise.quality_mean[row] == pytest.approx([quality.mean()], abs=1e-6)
        assert noise.quality_std[row] == pytest.approx([quality.std()], abs=1e-6)


def test_only_the_requested_kinds_are_measured(sets, avsv):
    folder, clean, noisy = sets
    how = ("noise-statistics", "--modality", "voice", "--utt2damage", folder / "utt2damage")
    files = (folder / "clean/e.scp", folder / "noisy/e.scp", folder / "out.npz")
    status, output = avsv(*how, "--kind", "music", *files)
    assert status == 0, output
    noise = read_noise(folder / "out.npz")
    assert noise.kinds == ("music",)
    assert noise.mean[0] == pytest.approx((noisy - clean)[[1, 4, 7, 10]].mean(0), abs=1e-6)
    status, output = avsv(*how, "--kind", "noise", *files)
    assert status == 1 and "noise" in output and "babble, music" in output


def test_a_kind_may_be_named_with_the_embeddings(sets, avsv):
    folder, clean, noisy = sets
    status, output = avsv("noise-statistics", folder / "clean/e.scp", f"{folder}/noisy/e.scp@hum", folder / "out.npz")
    assert status == 0, output
    noise = read_noise(folder / "out.npz")
    assert noise.kinds == ("hum",) and noise.mean[0] == pytest.approx((noisy - clean).mean(0), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{f}/clean/e.scp", "{f}/noisy/e.scp"], "expected one --utt2damage"),
        (["--utt2damage", "{f}/utt2damage", "{f}/clean/e.scp", "{f}/noisy/e.scp"], "and --modality"),
        (["--modality", "voice", "--utt2damage", "{f}/clean/e.scp", "{f}/clean/e.scp", "{f}/noisy/e.scp"],
         "expected a file utt2damage"),
        (["--modality", "face", "--utt2damage", "{f}/utt2damage", "{f}/clean/e.scp", "{f}/noisy/e.scp"], "1 clip"),
        (["{f}/clean/e.scp", "{f}/noisy/e.scp@hum", "--quality", "utt2dur"], "noisy/utt2dur"),
        (["{f}/other/e.scp", "{f}/noisy/e.scp@hum"], "noisy/e.scp: has embeddings of size"),
        (["{f}/strangers/e.scp", "{f}/noisy/e.scp@hum"], "no clip is damaged and has a clean embedding"),
    ],
)  # fmt: skip
def test_sets_that_cannot_be_compared_are_refused(sets, avsv, options, message):
    folder = sets[0]
    for name, utts, size in (("other", UTTS, 5), ("strangers", ["x", "y"], 4)):
        (folder / name).mkdir()
        write_embeddings(folder / name / "e.ark", folder / name / "e.scp", utts, np.ones((len(utts), size), np.float32))
    status, output = avsv("noise-statistics", *(o.format(f=folder) for o in options), folder / "out.npz")
    assert status == 1 and message in output and not (folder / "out.npz").exists()
