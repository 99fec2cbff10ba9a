"""Archives that replace others: a process killed at any step leaves the old archives, the new ones, or none."""

import itertools
import os
import shutil
import signal

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.shards import Shard
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.reuse import take_over
from avsv.kaldi.shards import make_archives, merge
from avsv.kaldi.tables import read_table

CLIPS = [f"u{n:02d}" for n in range(9)]
OLD, NEW = 1.0, 2.0


def embed(folder, value, shards, clips=CLIPS, jobs=None):
    """A small embedding command: the vectors of model `value`, a table, and a copy of the scp in data/."""

    def work(keys, out):
        for key in take_over([], keys, [], out):
            out.write("embedding", key, np.array([value, int(key[1:]) + 1]))
            out.note("utt2value", key, value)

    inputs = dict.fromkeys(clips, "path")
    for job in jobs or range(1, shards + 1):
        make_archives(folder / "e", ["embedding"], inputs, {"model": value}, work, Shard(job, shards),
                      tables=["utt2value"], copies={"embedding.scp": folder / "data.scp"})  # fmt: skip


def read(scp):
    """The model of all vectors, after a check of their names; None if they cannot be read."""
    try:
        found = read_embeddings(scp)
    except InputError:
        return None
    assert list(found.ids) == CLIPS and (found.vectors[:, 1] == np.arange(9) + 1).all(), "under other names"
    values = set(found.vectors[:, 0].tolist())
    assert len(values) == 1, "a mixture"
    return values.pop()


def killed_at(step, function):
    """Run a function in a child that is killed before its rename or removal number `step`; True if it was killed."""
    pid = os.fork()
    if not pid:
        calls, os.fsync = itertools.count(), lambda file: None
        for name in ("replace", "unlink"):
            real = getattr(os, name)

            def dies(*args, real=real, **kwargs):
                if next(calls) == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **kwargs)

            setattr(os, name, dies)
        try:
            function()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("before, after", [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_a_remade_result_is_old_new_or_absent_whenever_the_job_is_killed(tmp_path, monkeypatch, before, after):
    monkeypatch.setattr(os, "fsync", lambda file: None)  # the process is killed, not the machine
    embed(tmp_path / "begin", OLD, before)
    seen = set()
    for step in range(1000):
        folder = tmp_path / str(step)
        shutil.copytree(tmp_path / "begin", folder)
        for scp in [*folder.glob("e/*.scp"), folder / "data.scp"]:  # they name their archives by absolute paths
            scp.write_text(scp.read_text().replace("/begin/", f"/{step}/"))
        shutil.copy(folder / "data.scp", folder / "old.scp")
        killed = killed_at(step, lambda folder=folder: embed(folder, NEW, after))
        for name in ("e/embedding.scp", "data.scp"):
            seen.add(read(folder / name))
        stale = read(folder / "old.scp")  # a user's copy: it never reads a mixture
        assert stale in (OLD, NEW, None)
        value = read(folder / "e" / "embedding.scp")
        if value and (folder / "e" / "utt2value").exists():
            assert set(read_table(folder / "e" / "utt2value").values()) == {f"{value:g}"}
        embed(folder, NEW, after)
        assert read(folder / "e" / "embedding.scp") == read(folder / "data.scp") == NEW
        shutil.rmtree(folder)
        if not killed:
            break
    assert seen == {OLD, NEW, None} and step > 5


def test_a_shard_of_another_model_makes_the_result_unreadable_until_all_are_remade(tmp_path):
    embed(tmp_path, OLD, 2)
    copy = shutil.copy(tmp_path / "data.scp", tmp_path / "mine.scp")
    embed(tmp_path, NEW, 2, jobs=[1])
    assert read(tmp_path / "e" / "embedding.scp") is None and read(tmp_path / "data.scp") is None
    with pytest.raises(InputError, match=r"/e: .*runs"):
        read_embeddings(copy)
    with pytest.raises(InputError):
        merge(tmp_path / "e")
    embed(tmp_path, NEW, 2, jobs=[2])
    assert read(tmp_path / "e" / "embedding.scp") == NEW


@pytest.mark.parametrize("before, after", [(2, 1), (4, 2), (1, 2)])
def test_another_number_of_shards_removes_the_older_run(tmp_path, before, after):
    embed(tmp_path / "a", OLD, before)
    embed(tmp_path / "a", NEW, after)
    embed(tmp_path / "b", NEW, after)
    assert sorted(os.listdir(tmp_path / "a" / "e")) == sorted(os.listdir(tmp_path / "b" / "e"))
    if after == 1:
        with pytest.raises(InputError, match=r"done\.J\.json"):
            merge(tmp_path / "a" / "e")
    else:
        merge(tmp_path / "a" / "e")
    assert read(tmp_path / "a" / "e" / "embedding.scp") == NEW


def test_shards_of_different_lists_of_clips_are_not_merged(tmp_path):
    embed(tmp_path, OLD, 2, CLIPS[:6])
    embed(tmp_path, OLD, 2, CLIPS, jobs=[1])
    assert not (tmp_path / "e" / "embedding.scp").exists()
    embed(tmp_path, OLD, 2, CLIPS, jobs=[2])
    assert read(tmp_path / "e" / "embedding.scp") == OLD


def test_a_result_in_progress_is_not_reused(tmp_path):
    embed(tmp_path, OLD, 2)
    (tmp_path / "e" / "done.1.json").unlink()

    def work(keys, out):
        take_over([tmp_path / "e"], keys, [], out)

    with pytest.raises(InputError, match=r"/e: is not complete"):
        make_archives(tmp_path / "other", ["embedding"], dict.fromkeys(CLIPS, "path"), {"model": OLD}, work)


def write_one(folder, value, names=CLIPS):
    vectors = [[value, int(name[1:]) + 1] for name in names]
    write_embeddings(folder / "embedding.ark", folder / "embedding.scp", names, np.array(vectors))


def test_an_archive_without_shards_is_old_new_or_absent_whenever_its_writer_is_killed(tmp_path):
    """As embed-pair and import-embeddings write it; the new archive has its records at other offsets."""
    seen = set()
    for step in range(100):
        folder = tmp_path / str(step)
        write_one(folder, OLD)
        killed = killed_at(step, lambda folder=folder: write_one(folder, NEW, CLIPS[::-1]))
        seen.add(read(folder / "embedding.scp"))
        write_one(folder, NEW)
        assert read(folder / "embedding.scp") == NEW
        if not killed:
            break
    assert seen == {OLD, NEW, None}


def test_overwriting_another_commands_archive_removes_its_proof(tmp_path):
    embed(tmp_path, OLD, 2)
    write_one(tmp_path / "e", NEW)
    assert not list((tmp_path / "e").glob("done*.json")) and read(tmp_path / "e" / "embedding.scp") == NEW
    embed(tmp_path, OLD, 2)
    assert read(tmp_path / "e" / "embedding.scp") == OLD


def test_an_scp_older_than_its_archive_is_refused_if_it_reads_other_clips(tmp_path):
    """A user's copy of part of the scp; avsv removes its own before it replaces the archive."""
    write_one(tmp_path, OLD)
    old = shutil.copy(tmp_path / "embedding.scp", tmp_path / "mine.scp")
    write_one(tmp_path, NEW, CLIPS[::-1])
    with pytest.raises(InputError, match=r"mine\.scp: u00: .*u08"):
        read_embeddings(old)
    write_one(tmp_path, NEW, [*CLIPS[:3], "u99", *CLIPS[3:]])
    with pytest.raises(InputError, match=r"mine\.scp: u04: .*u03"):
        read_embeddings(old)


def test_renamed_utterances_and_two_names_of_one_record_are_read(tmp_path):
    write_one(tmp_path, OLD)
    lines = (tmp_path / "embedding.scp").read_text().splitlines()
    for name, changed in (
        ("longer", [f"vox1-{line}" for line in lines]),
        ("shorter", [line[1:] for line in lines]),
        ("two", [*lines, f"again {lines[0].split()[1]}", f"u{lines[1]}"]),
    ):
        (tmp_path / name).write_text("\n".join(changed) + "\n")
        assert len(read_embeddings(tmp_path / name)) == len(changed)
