import subprocess
import sys

import kaldiio
import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.jobs.provenance import CODE
from avsv.jobs.shards import Shard
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.shard_writer import COMPRESSED
from avsv.kaldi.shards import make_archives, merge
from avsv.kaldi.tables import read_table

INPUTS = {f"u{n:02d}": n for n in range(7)}


def write_all(keys, out):
    for key in keys:
        out.write("feats", key, np.full((4, 3), INPUTS[key]))
        out.write("vad", key, np.ones(4))


def make(tmp_path, work=write_all, shard=None, settings=None, **more):
    return make_archives(tmp_path, ["feats", "vad"], INPUTS, settings or {}, work, shard, **more)


@pytest.mark.parametrize("total", [1, 2, 3, 9])
def test_merged_shards_are_complete_and_kaldiio_reads_them(tmp_path, total):
    complete = [make(tmp_path, shard=Shard(job, total)) for job in range(1, total + 1)]
    assert complete == [False] * (total - 1) + [True]
    feats = kaldiio.load_scp(str(tmp_path / "feats.scp"))
    assert list(feats) == sorted(INPUTS)
    assert all((feats[key] == INPUTS[key]).all() and feats[key].dtype == np.float32 for key in INPUTS)


def test_merged_tables_stay_until_a_shard_is_redone(tmp_path):
    """A skipped clip has been repaired since: its shard's record is deleted, and nothing else differs."""
    for job in (1, 2):
        make(tmp_path, skip_two if job == 1 else write_all, Shard(job, 2), max_skipped=1.0)
    before = (tmp_path / "feats.scp").stat().st_mtime_ns
    assert make(tmp_path, shard=Shard(2, 2)) and (tmp_path / "feats.scp").stat().st_mtime_ns == before
    assert len(read_table(tmp_path / "feats.scp")) < 7
    (tmp_path / "done.1.json").unlink()
    assert make(tmp_path, shard=Shard(1, 2)) and len(read_table(tmp_path / "feats.scp")) == 7


def test_kaldi_reads_compressed_matrices(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    make_archives(tmp_path, ["feats"], {"a": 0}, {}, lambda keys, out: out.write("feats", "a", matrix, COMPRESSED))
    assert (tmp_path / "feats.ark").stat().st_size < matrix.nbytes
    assert np.abs(kaldiio.load_scp(str(tmp_path / "feats.scp"))["a"] - matrix).max() < 0.05


def test_a_finished_shard_is_kept_and_a_changed_one_redone(tmp_path):
    calls = []

    def work(keys, out):
        calls.append(len(keys))
        write_all(keys, out)

    for settings in ({"model": 1}, {"model": 1}, {"model": 2}):
        make(tmp_path, work, settings=settings)
    assert calls == [7, 7]


def test_a_killed_shard_leaves_no_result_and_a_rerun_gives_the_same_bytes(tmp_path):
    def die(keys, out):
        write_all(keys[:3], out)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "killed", die)
    assert list((tmp_path / "killed").iterdir()) == []
    make(tmp_path / "killed")
    make(tmp_path / "whole")
    for name in ("feats.ark", "vad.ark"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def skip_two(keys, out):
    for key in keys[:2]:
        out.skip(key, "no\nsound")
    write_all(keys[2:], out)


def test_skipped_clips_are_listed_with_their_reason(tmp_path):
    make(tmp_path, skip_two, max_skipped=0.5)
    assert (tmp_path / "skipped").read_text() == "u00 no sound\nu01 no sound\n"


def test_too_many_skipped_clips_fail_the_shard(tmp_path):
    with pytest.raises(InputError, match=r"2 of 7 clips .* more than the 5 % allowed.*u00: no sound"):
        make(tmp_path, skip_two)
    assert not (tmp_path / "done.json").exists() and not (tmp_path / "feats.scp").exists()


def write_and_note(keys, out):
    write_all(keys, out)
    for key in keys[::2]:
        out.note("utt2snr", key, INPUTS[key] / 3)


NOTED = {key: f"{value / 3:.6g}" for key, value in list(INPUTS.items())[::2]}


@pytest.mark.parametrize("total", [1, 3])
def test_numbers_per_clip_form_one_table_without_lines_for_missing_ones(tmp_path, total):
    def work(keys, out):
        write_all(keys, out)
        for key in NOTED.keys() & set(keys):
            out.note("utt2snr", key, INPUTS[key] / 3)

    for job in range(1, total + 1):
        make(tmp_path, work, Shard(job, total), tables=["utt2snr"])
    assert read_table(tmp_path / "utt2snr") == NOTED


def test_avsv_merge_joins_tables_too(tmp_path):
    make(tmp_path, write_and_note, Shard(1, 2), tables=["utt2snr"])
    make(tmp_path, write_and_note, Shard(2, 2), tables=["utt2snr"])
    whole = (tmp_path / "utt2snr").read_bytes()
    (tmp_path / "utt2snr").unlink()
    merge(tmp_path)
    assert (tmp_path / "utt2snr").read_bytes() == whole


def test_archives_without_a_requested_table_are_redone(tmp_path):
    make(tmp_path)
    make(tmp_path, write_and_note, tables=["utt2snr"])
    assert read_table(tmp_path / "utt2snr") == NOTED


def test_shards_with_and_without_the_table_do_not_merge(tmp_path):
    for job in (1, 2):
        make(tmp_path, shard=Shard(job, 2))
    assert not make(tmp_path, write_and_note, Shard(1, 2), tables=["utt2snr"])
    assert make(tmp_path, write_and_note, Shard(2, 2), tables=["utt2snr"])


def test_a_deleted_table_is_remade(tmp_path):
    make(tmp_path, write_and_note, tables=["utt2snr"])
    (tmp_path / "utt2snr").unlink()
    make(tmp_path, write_and_note, tables=["utt2snr"])
    assert read_table(tmp_path / "utt2snr") == NOTED


def test_merge_names_the_missing_shards(tmp_path):
    make(tmp_path, shard=Shard(2, 3))
    with pytest.raises(InputError, match=r"shards \[1, 3\] of 3 are not finished"):
        merge(tmp_path)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0"])
def test_bad_shards_are_refused(text):
    with pytest.raises(OptionError, match="expected J/N"):
        Shard.parse(text)


def test_no_input_is_an_error(tmp_path):
    with pytest.raises(InputError, match="nothing to do"):
        make_archives(tmp_path, ["feats"], {}, {}, write_all)


def test_a_second_run_waits_for_the_first_and_finds_its_work_done(tmp_path):
    code = """
import sys, time
from tests.kaldi.test_shards import make, write_all
from pathlib import Path

def work(keys, out):
    print("begun", flush=True)
    time.sleep(1)
    write_all(keys, out)

make(Path(sys.argv[1]), work)
"""
    first = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "begun\n"
    calls = []
    assert make(tmp_path, lambda keys, out: calls.append(keys))
    assert not calls and first.wait(timeout=5) == 0
    assert len(kaldiio.load_scp(str(tmp_path / "feats.scp"))) == len(INPUTS)


@pytest.mark.parametrize("proof", ["", "1e999", "[]", '{"shards": null}', "[" * 20000])
def test_merge_names_a_damaged_proof_and_its_shard_is_redone(tmp_path, proof):
    make(tmp_path, shard=Shard(1, 2))
    make(tmp_path, shard=Shard(2, 2))
    (tmp_path / "done.2.json").write_text(proof)
    with pytest.raises(InputError, match=r"done\.2\.json: "):
        merge(tmp_path)
    assert make(tmp_path, shard=Shard(2, 2))


@pytest.mark.parametrize("total", [1, 3])
def test_only_skipped_clips_are_tried_again(tmp_path, total):
    """A disk was unavailable for a moment, or a permission was missing: avsv sees no change since."""
    calls = []

    def work(keys, out, broken=()):
        calls.extend(keys)
        for key in keys:
            if key in broken:
                out.skip(key, "away")
                continue
            write_all([key], out)
            out.note("utt2snr", key, INPUTS[key])

    def run(broken):
        calls.clear()
        for job in range(1, total + 1):
            make(tmp_path, lambda keys, out: work(keys, out, broken), Shard(job, total), max_skipped=0.7,
                 tables=["utt2snr"])  # fmt: skip

    run({"u02", "u05"})
    assert list(read_table(tmp_path / "skipped")) == ["u02", "u05"] and len(calls) == 7
    run({"u05"})
    assert calls == ["u02", "u05"] and list(read_table(tmp_path / "skipped")) == ["u05"]
    run(set())
    assert calls == ["u05"] and not read_table(tmp_path / "skipped")
    run(set())
    assert calls == []
    for name in ("feats", "vad"):
        found = kaldiio.load_scp(str(tmp_path / f"{name}.scp"))
        assert sorted(found) == sorted(INPUTS)
    feats = kaldiio.load_scp(str(tmp_path / "feats.scp"))
    assert all((feats[key] == INPUTS[key]).all() for key in INPUTS)
    assert read_table(tmp_path / "utt2snr") == {key: str(value) for key, value in INPUTS.items()}


def test_a_lower_max_skipped_applies_to_a_finished_shard(tmp_path):
    make(tmp_path, skip_two, max_skipped=0.5)
    before = (tmp_path / "feats.ark").read_bytes()
    with pytest.raises(InputError, match="2 of 7 clips"):
        make(tmp_path, skip_all)
    assert (tmp_path / "feats.ark").read_bytes() == before
    make(tmp_path, skip_all, max_skipped=0.5)


def skip_all(keys, out):
    for key in keys:
        out.skip(key, "no sound")


def test_a_result_stays_if_its_replacement_fails(tmp_path):
    """The disk with the media is unavailable: all clips are absent, which counts as changed inputs."""
    make(tmp_path)
    with pytest.raises(InputError, match=r"7 of 7 clips .* All are in .*/skipped\.refused"):
        make(tmp_path, skip_all, settings={"media": "absent"})
    assert len(read_table(tmp_path / "skipped.refused")) == 7 and read_table(tmp_path / "skipped") == {}
    assert sorted(kaldiio.load_scp(str(tmp_path / "feats.scp"))) == sorted(INPUTS)
    make(tmp_path, lambda keys, out: pytest.fail("done again"))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("compression", [None, COMPRESSED])
def test_a_clip_with_values_that_are_not_finite_is_skipped(tmp_path, value, compression):
    def work(keys, out):
        for key in keys:
            matrix = np.ones((4, 3))
            matrix[2, 1] = value if key == "u03" else 1
            out.note("utt2snr", key, 1.0)
            out.write("vad", key, np.ones(4))
            out.write("feats", key, matrix, compression)
            out.note("utt2dur", key, 1.0)

    make(tmp_path, work, max_skipped=0.2, tables=["utt2snr", "utt2dur"])
    for table in ("feats.scp", "vad.scp", "utt2snr", "utt2dur"):
        assert sorted(read_table(tmp_path / table)) == sorted(INPUTS.keys() - {"u03"})
    assert list(read_table(tmp_path / "skipped")) == ["u03"]
    with pytest.raises(InputError, match="1 of 7 clips"):
        make(tmp_path / "strict", work, tables=["utt2snr", "utt2dur"])


def test_an_all_zero_embedding_is_skipped_and_other_zero_vectors_are_not(tmp_path):
    def work(keys, out):
        for key in keys:
            out.write("embedding", key, np.full(4, INPUTS[key]))
            out.write("vad", key, np.zeros(3))

    make_archives(tmp_path, ["embedding", "vad"], INPUTS, {}, work, max_skipped=0.2)
    assert list(read_table(tmp_path / "skipped")) == ["u00"] and len(read_table(tmp_path / "vad.scp")) == 6


@pytest.mark.parametrize("bad", [np.nan, -np.inf, 0.0])
def test_a_bad_vector_is_refused_by_name_and_the_old_archive_stays(tmp_path, bad):
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", ["a", "b"], np.eye(2))
    before = (tmp_path / "e.ark").read_bytes()
    with pytest.raises(InputError, match=f"{tmp_path}/e.scp: b:"):
        write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", ["a", "b"], np.array([[1, 0], [bad, 0]]))
    assert (tmp_path / "e.ark").read_bytes() == before


def test_a_measure_that_is_not_finite_is_left_out(tmp_path):
    def work(keys, out):
        write_all(keys, out)
        for key in keys:
            out.note("utt2snr", key, float("nan") if key == "u01" else float("-inf") if key == "u02" else 1.0)

    make(tmp_path, work, tables=["utt2snr"])
    assert sorted(read_table(tmp_path / "utt2snr")) == sorted(INPUTS.keys() - {"u01", "u02"})


def test_a_copy_that_cannot_be_written_is_refused_before_the_work(tmp_path, monkeypatch):
    """As on a read-only disk; permissions would not do, because the tests may run as root."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: path != data)
    with pytest.raises(InputError, match=str(data)):
        make(tmp_path / "out", work=lambda keys, out: pytest.fail("worked"), copies={"feats.scp": data / "feats.scp"})
    assert not (tmp_path / "out").exists()


def make_from(tmp_path, inputs, shard=None, settings=None):
    """Archives whose vectors are the clips' inputs; returns the clips that were worked on."""
    worked = []

    def work(keys, out):
        worked.extend(keys)
        for key in keys:
            out.write("feats", key, np.full(3, float(len(str(inputs[key])))))
            out.note("utt2len", key, float(len(str(inputs[key]))))

    make_archives(tmp_path, ["feats"], inputs, settings or {"model": 1}, work, shard, tables=["utt2len"])
    return worked


def read_values(tmp_path):
    found = kaldiio.load_scp(str(tmp_path / "feats.scp"))
    return {key: found[key][0] for key in found}


@pytest.mark.parametrize("total", [1, 2])
def test_only_changed_clips_are_redone_and_the_archive_equals_that_of_a_new_run(tmp_path, total, caplog):
    caplog.set_level("INFO", logger="avsv")
    before = {f"u{n:02d}": "x" for n in range(8)}
    after = {**before, "u01": "longer", "u05": "long"}
    for job in range(1, total + 1):
        make_from(tmp_path / "a", before, Shard(job, total))
    caplog.clear()
    worked = [key for job in range(1, total + 1) for key in make_from(tmp_path / "a", after, Shard(job, total))]
    assert worked == ["u01", "u05"]
    assert ("2 of 8 clips changed" if total == 1 else "1 of 4 clips changed") in caplog.text
    for job in range(1, total + 1):
        make_from(tmp_path / "b", after, Shard(job, total))
    assert read_values(tmp_path / "a") == read_values(tmp_path / "b")
    for name in ("utt2len", "utt2input"):
        assert (tmp_path / "a" / name).read_text() == (tmp_path / "b" / name).read_text()
    sizes = [sum(ark.stat().st_size for ark in (tmp_path / folder).glob("*.ark")) for folder in "ab"]
    assert sizes[0] == sizes[1]  # no old vector remains for programs that read the archive from its beginning


def test_new_and_removed_clips_do_not_affect_the_others(tmp_path):
    make_from(tmp_path, {"a": 1, "b": 22, "c": 333})
    assert make_from(tmp_path, {"b": 22, "c": 333, "d": 4444}) == ["d"]
    assert read_values(tmp_path) == {"b": 2, "c": 3, "d": 4}
    assert make_from(tmp_path, {"b": 22, "c": 333, "d": 4444}) == []


def test_a_changed_option_or_code_number_redoes_all_and_is_logged(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", logger="avsv")
    make_from(tmp_path, {"a": 1, "b": 2})
    assert make_from(tmp_path, {"a": 1, "b": 2}, settings={"model": 2}) == ["a", "b"]
    assert "model: 1 -> 2" in caplog.text
    monkeypatch.setitem(CODE, "make_archives", 2)
    assert make_from(tmp_path, {"a": 1, "b": 2}, settings={"model": 2}) == ["a", "b"]


def test_shards_of_an_earlier_version_of_avsv_are_refused_by_name(tmp_path):
    (tmp_path / "done.json").write_text('{"shards": 1, "settings": "5", "inputs": "7", "model": "9f", "skipped": 0}')
    for again in (lambda: make(tmp_path), lambda: merge(tmp_path)):
        with pytest.raises(InputError, match=r"earlier version .*done\.json"):
            again()
