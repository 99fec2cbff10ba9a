"""Embeddings copied from another set: only those made from the same input with the same settings."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.shards import Shard
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.reuse import take_over
from avsv.kaldi.shards import make_archives
from avsv.kaldi.tables import read_table

CLEAN = {f"u{n}": [f"/sound/{n}.wav", None] for n in range(10)}
MODEL = {"model": "a"}


def embed(out_dir, inputs, settings=MODEL, earlier=(), shards=1, fails=(), **more):
    """A small embedding command; returns the utterances that it embedded itself, in all shards."""
    embedded = []

    def work(utts, out):
        for utt in take_over(earlier, utts, ["utt2loud"], out):
            embedded.append(utt)
            if utt in fails:
                out.skip(utt, "no")
                continue
            out.write("embedding", utt, np.random.default_rng(list(f"{inputs[utt]}{settings}".encode())).normal(size=5))
            out.note("utt2loud", utt, float(len(embedded)))

    for number in range(1, shards + 1):
        make_archives(out_dir, ["embedding"], inputs, settings, work, Shard(number, shards), max_skipped=0.5,
                      tables=["utt2loud"], **more)  # fmt: skip
    return sorted(embedded)


def vectors(out_dir):
    found = read_embeddings(out_dir / "embedding.scp")
    return dict(zip(found.ids, map(tuple, found.vectors), strict=True))


@pytest.mark.parametrize("before, after", [(1, 1), (3, 1), (1, 3), (2, 3)])
def test_only_clips_that_differ_are_embedded_and_the_archive_is_unchanged(tmp_path, before, after):
    noisy = {utt: [path, {"kind": "noise"} if utt in ("u3", "u7") else None] for utt, (path, _) in CLEAN.items()}
    del noisy["u5"]  # missing
    embed(tmp_path / "clean", CLEAN, shards=before)
    assert embed(tmp_path / "noisy", noisy, earlier=[tmp_path / "clean"], shards=after) == ["u3", "u7"]
    assert embed(tmp_path / "anew", noisy) == sorted(noisy)
    assert vectors(tmp_path / "noisy") == vectors(tmp_path / "anew")


def test_measures_are_copied_with_the_vectors(tmp_path):
    embed(tmp_path / "clean", CLEAN)
    embed(tmp_path / "noisy", CLEAN, earlier=[tmp_path / "clean"])
    assert read_table(tmp_path / "noisy" / "utt2loud") == read_table(tmp_path / "clean" / "utt2loud")


def test_another_model_or_path_of_the_clip_prevents_reuse(tmp_path):
    embed(tmp_path / "clean", CLEAN)
    assert embed(tmp_path / "other", CLEAN, {"model": "b"}, [tmp_path / "clean"]) == sorted(CLEAN)
    moved = CLEAN | {"u1": ["/elsewhere/1.wav", None]}
    assert embed(tmp_path / "moved", moved, MODEL, [tmp_path / "clean"]) == ["u1"]


def test_a_set_may_reuse_two_and_be_reused_itself(tmp_path):
    first, second = ({utt: CLEAN[utt] for utt in part} for part in (["u1", "u2"], ["u2", "u3"]))
    embed(tmp_path / "a", first)
    embed(tmp_path / "b", second)
    assert embed(tmp_path / "c", CLEAN, earlier=[tmp_path / "a", tmp_path / "b"]) == [
        utt for utt in CLEAN if utt not in ("u1", "u2", "u3")
    ]
    assert embed(tmp_path / "d", CLEAN, earlier=[tmp_path / "c"]) == []


def test_skipped_clips_are_tried_again(tmp_path):
    embed(tmp_path / "clean", CLEAN, fails=["u4"])
    assert embed(tmp_path / "noisy", CLEAN, earlier=[tmp_path / "clean"], fails=["u4"]) == ["u4"]
    assert read_table(tmp_path / "noisy" / "skipped") == {"u4": "no"}


def test_embeddings_remade_by_another_model_are_not_reused(tmp_path):
    embed(tmp_path / "clean", CLEAN)
    embed(tmp_path / "clean", CLEAN, {"model": "b"}, shards=2)  # beside the first run's done.json
    assert embed(tmp_path / "noisy", CLEAN, MODEL, [tmp_path / "clean"]) == sorted(CLEAN)


def test_a_folder_without_the_proof_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent: has no utt2input"):
        embed(tmp_path / "noisy", CLEAN, earlier=[tmp_path / "absent"])


@pytest.mark.parametrize("shards", [1, 2])
def test_a_set_without_a_modality_by_design_has_empty_archives(tmp_path, shards):
    assert embed(tmp_path / "none", {}, shards=shards, may_be_empty=True) == []
    assert vectors(tmp_path / "none") == {}
    with pytest.raises(InputError, match="nothing to do"):
        embed(tmp_path / "mistake", {})
