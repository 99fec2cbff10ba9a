"""avsv concatenate: vectors, cosines, names, quality tables, and what is left out."""

import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.origin import embeddings_model
from avsv.kaldi.tables import read_table

RNG = np.random.default_rng(0)
VECTORS = {"first": RNG.standard_normal((4, 5)), "second": RNG.standard_normal((4, 3))}
IDS = {"first": ["a", "b", "c", "d"], "second": ["d", "x", "b", "a"]}


@pytest.fixture
def encoders(tmp_path):
    """Two encoders' embeddings with quality tables: name -> embedding.scp."""
    scps = {}
    for number, name in enumerate(VECTORS):
        folder = tmp_path / name
        folder.mkdir()
        scps[name] = folder / "embedding.scp"
        write_embeddings(folder / "embedding.ark", scps[name], IDS[name], VECTORS[name] * 7, f"voice:{number}")
        (folder / "utt2magnitude").write_text("".join(f"{utt} {2 if number else 8}\n" for utt in IDS[name]))
        (folder / "utt2snr").write_text("".join(f"{utt} {10 + number}\n" for utt in IDS[name]))
    return scps


def joined(avsv, scps, out, n=2):
    given = [word for scp in list(scps.values())[:n] for word in ("--embeddings", scp)]
    return avsv("concatenate", *given, out)


def test_the_cosine_is_the_mean_of_the_encoders_cosines(avsv, encoders, tmp_path):
    status, output = joined(avsv, encoders, tmp_path / "out")
    assert status == 0 and "2 of 5" in output and " c" in output
    both = read_embeddings(tmp_path / "out/embedding.scp")
    assert list(both.ids) == ["a", "b", "d"] and both.vectors.shape == (3, 8)
    cosines = []
    for name, vectors in VECTORS.items():
        rows = vectors[[IDS[name].index(utt) for utt in both.ids]]
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines.append(rows @ rows.T)
    assert both.vectors @ both.vectors.T == pytest.approx(np.mean(cosines, axis=0), abs=1e-6)


def test_quality_is_that_of_the_recordings_and_the_mean_of_magnitudes(avsv, encoders, tmp_path):
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0
    magnitude = read_table(tmp_path / "out/utt2magnitude", 2, "utt value")
    assert {utt: float(value) for utt, value in magnitude.items()} == pytest.approx(dict.fromkeys("abd", 4.0))
    assert read_table(tmp_path / "out/utt2snr", 2, "utt value") == dict.fromkeys("abd", "10")
    (encoders["second"].parent / "utt2magnitude").unlink()
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0
    assert not (tmp_path / "out/utt2magnitude").exists()  # of one encoder alone it would not be theirs


def test_the_name_says_which_encoders_and_in_which_order(avsv, encoders, tmp_path):
    reverse = dict(reversed(encoders.items()))
    assert joined(avsv, encoders, tmp_path / "out")[0] == joined(avsv, reverse, tmp_path / "reverse")[0] == 0
    models = [embeddings_model(tmp_path / out / "embedding.scp") for out in ("out", "reverse")]
    assert models[0] != models[1] and all(model.startswith("voice:") for model in models)


def test_what_is_current_is_kept(avsv, encoders, tmp_path):
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0
    ark = tmp_path / "out/embedding.ark"
    before = ark.stat().st_mtime_ns
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0 and ark.stat().st_mtime_ns == before
    (encoders["first"].parent / "utt2snr").write_text("a 3\nb 3\nd 3\n")
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0
    assert read_table(tmp_path / "out/utt2snr", 2, "utt value")["a"] == "3"


def test_a_set_without_the_modality_stays_empty(avsv, encoders, tmp_path):
    for scp in encoders.values():
        write_embeddings(scp.with_name("embedding.ark"), scp, [], np.empty((0, 0)), "voice:1")
    assert joined(avsv, encoders, tmp_path / "out")[0] == 0
    assert (tmp_path / "out/embedding.scp").read_text() == ""


def test_one_encoder_and_voice_with_face_are_refused(avsv, encoders, tmp_path):
    status, output = joined(avsv, encoders, tmp_path / "out", n=1)
    assert status == 1 and "--embeddings" in output
    second = encoders["second"]
    write_embeddings(second.with_name("embedding.ark"), second, IDS["second"], VECTORS["second"], "face:1")
    status, output = joined(avsv, encoders, tmp_path / "out")
    assert status == 1 and "face" in output and "voice" in output
    assert not (tmp_path / "out/embedding.scp").exists()
