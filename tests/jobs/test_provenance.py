"""Records of the inputs of files: exactly the changed inputs are found."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.fingerprints import LARGE
from avsv.jobs.provenance import MadeFrom, find_stale, refuse_stale, sources_of, with_archives
from avsv.jobs.records import record_path
from avsv.kaldi.embeddings import write_embeddings

FIXED = (1_700_000_000_000_000_000, 1_700_000_000_000_000_000)


@pytest.fixture
def chained(tmp_path):
    """model -> embedding.scp -> scores -> calibrated: each made from the one before."""
    (tmp_path / "exp/e").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    files = {name: tmp_path / "exp" / name for name in ("model", "e/embedding.scp", "scores", "calibrated")}
    files["trials"] = tmp_path / "data/trials"
    files["model"].write_text("weights 1")
    files["trials"].write_text("a b target\n")
    embed(files)
    score(files)
    calibrate(files)
    return files


def embed(files, value=1.0):
    made = MadeFrom("score", {"model": files["model"]})
    ark = files["e/embedding.scp"].with_suffix(".ark")
    write_embeddings(ark, files["e/embedding.scp"], ["a", "b"], np.full((2, 3), value))
    made.write(files["e/embedding.scp"])


def score(files):
    made = MadeFrom("score", {"trials": files["trials"], "enroll": files["e/embedding.scp"], "test": None})
    files["scores"].write_text("a b 0.5\n")
    made.write(files["scores"])


def calibrate(files):
    made = MadeFrom("score", {"scores": [files["scores"]]})
    files["calibrated"].write_text("a b 1.5\n")
    made.write(files["calibrated"])


def test_unchanged_files_are_current(chained):
    for file in chained.values():
        refuse_stale(file)


def test_each_change_along_the_chain_is_found_and_named(chained):
    archive = chained["e/embedding.scp"].with_suffix(".ark")
    for changed, file, source in (
        (chained["trials"], chained["scores"], chained["trials"]),
        (chained["model"], chained["e/embedding.scp"], chained["model"]),
        (archive, chained["scores"], archive),
        (chained["e/embedding.scp"], chained["scores"], chained["e/embedding.scp"]),
        (chained["scores"], chained["calibrated"], chained["scores"]),
    ):
        before, times = changed.read_bytes(), os.stat(changed)
        changed.write_bytes(before[:-1] + b"!")  # of the same size
        found = find_stale(chained["calibrated"])
        assert (found.file, found.source) == (file, source)
        with pytest.raises(InputError, match=str(source)):
            refuse_stale(chained["calibrated"])
        changed.write_bytes(before)
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
        refuse_stale(chained["calibrated"])


def test_vectors_that_changed_under_the_same_scp_are_found(chained):
    before = chained["e/embedding.scp"].read_bytes()
    embed(chained, value=2.0)
    assert chained["e/embedding.scp"].read_bytes() == before
    assert find_stale(chained["scores"]).source.name == "embedding.ark"


def test_a_command_refuses_stale_inputs(chained):
    chained["model"].write_text("weights 2")
    with pytest.raises(InputError, match=r"embedding\.scp"):
        MadeFrom("score", {"enroll": chained["e/embedding.scp"]})


def test_rewriting_the_same_bytes_is_not_a_change(chained):
    embed(chained)
    os.utime(chained["trials"], ns=FIXED)
    refuse_stale(chained["calibrated"])


def test_touching_a_large_file_is_not_a_change(tmp_path):
    large, out = tmp_path / "large", tmp_path / "out"
    with large.open("wb") as file:
        file.truncate(LARGE + 1)
    made = MadeFrom("score", {"scores": large})
    out.write_text("x")
    made.write(out)
    os.utime(large, ns=FIXED)
    refuse_stale(out)
    with large.open("r+b") as file:
        file.seek(LARGE)
        file.write(b"1")
    assert find_stale(out).source == large


def test_a_file_that_another_program_wrote_has_no_record(chained):
    chained["scores"].write_text("a b 0.123456\n")
    chained["trials"].write_text("a b nontarget\n")
    assert find_stale(chained["scores"]) is None
    assert sources_of(chained["scores"]) == {}


def test_absent_inputs_cannot_be_checked(chained):
    chained["e/embedding.scp"].with_suffix(".ark").unlink()
    chained["trials"].unlink()
    refuse_stale(chained["calibrated"])


def test_a_copy_of_the_tree_is_checked_against_itself(chained, tmp_path, tmp_path_factory):
    there = tmp_path_factory.mktemp("copy") / "x"
    shutil.copytree(tmp_path, there)
    (there / "data/trials").write_text("a b nontarget\n")
    assert find_stale(there / "exp/scores").source == there / "data/trials"
    refuse_stale(chained["scores"])


def test_inputs_are_recorded_as_they_were_at_the_start(tmp_path):
    (tmp_path / "in").write_text("1")
    made = MadeFrom("score", {"x": tmp_path / "in"})
    (tmp_path / "in").write_text("22")
    (tmp_path / "out").write_text("of 1")
    made.write(tmp_path / "out")
    assert find_stale(tmp_path / "out").source == tmp_path / "in"


def test_sources_of_one_role(chained):
    assert list(sources_of(chained["calibrated"], "model")) == [chained["model"]]
    assert list(sources_of(chained["calibrated"], "trials")) == [chained["trials"]]


def test_pipes_and_names_are_left_out(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    made = MadeFrom("score", {"a": tmp_path / "fifo", "b": "speechbrain/spkrec", "c": tmp_path / "absent.scp"})
    (tmp_path / "out").write_text("x")
    made.write(tmp_path / "out")
    made.write("/dev/null")
    refuse_stale(tmp_path / "out")
    assert sources_of(tmp_path / "out") == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"size": 1, "mtime_ns": MTIME}', "null", "[" * 100_000,
                                  '{"size": 1, "mtime_ns": MTIME, "made_from": [1]}',
                                  '{"size": 1, "mtime_ns": MTIME, "made_from": [{"role": 1, "path": "a", '
                                  '"size": 1, "mtime_ns": 1, "digest": ""}]}'])  # fmt: skip
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "out").write_text("x")
    record_path(tmp_path / "out").write_text(text.replace("MTIME", str((tmp_path / "out").stat().st_mtime_ns)))
    with pytest.raises(InputError, match=r"\.out\.made_from\.json"):
        find_stale(tmp_path / "out")


def test_a_record_that_names_itself_is_no_endless_loop(tmp_path):
    (tmp_path / "out").write_text("x")
    made = MadeFrom("score", {"x": tmp_path / "out"})
    made.write(tmp_path / "out")
    assert find_stale(tmp_path / "out") is None


def test_archives_of_an_scp_file_are_found_in_any_order(tmp_path):
    lines = (f"utterance{i:07d} /somewhere/far/embedding.{i % 2}.ark:{i * 800}\n" for i in range(10_000))
    (tmp_path / "e.scp").write_text("".join(lines))
    archives = [Path(f"/somewhere/far/embedding.{job}.ark") for job in range(2)]
    assert sorted(with_archives(tmp_path / "e.scp")) == sorted([*archives, tmp_path / "e.scp"])


def test_an_up_to_date_record_is_not_rewritten(tmp_path):
    (tmp_path / "in").write_text("1")
    (tmp_path / "out").write_text("2")
    MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
    os.utime(record_path(tmp_path / "out"), ns=FIXED)
    MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
    assert record_path(tmp_path / "out").stat().st_mtime_ns == FIXED[1]
    record_path(tmp_path / "out").write_text("no record")
    MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
    assert sources_of(tmp_path / "out")


def test_a_complete_result_in_a_read_only_folder_is_accepted(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "in").write_text("1")
    (tmp_path / "out").write_text("2")
    MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
    os.utime(tmp_path / "in", ns=FIXED)
    monkeypatch.setattr("avsv.jobs.provenance.write_json", refuse)
    MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
    (tmp_path / "in").write_text("other")
    with pytest.raises(PermissionError):
        MadeFrom("score", {"scores": tmp_path / "in"}).write(tmp_path / "out")
