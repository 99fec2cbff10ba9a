"""Keys of media: a replaced file gets a new key, a moved file keeps its key."""

import os

import numpy as np
import pytest

from avsv.jobs.fingerprints import ABSENT, COMMAND, stamp_files
from avsv.jobs.shards import Shard
from avsv.kaldi.media_files import media_stamp, with_stamps
from avsv.kaldi.segments import Segment
from avsv.kaldi.shards import make_archives


def stamp(path):
    return stamp_files([str(path)])[str(path)]


def replace_size(path):
    path.write_bytes(b"longer")


def replace_time(path):
    path.write_bytes(b"abd")
    os.utime(path, ns=(5, 5))


def replace_by_another(path):
    other = path.with_name("other")
    other.write_bytes(b"abd")
    os.utime(other, ns=(7, 7))
    other.rename(path)


@pytest.mark.parametrize("change", [replace_size, replace_time, replace_by_another, os.unlink])
@pytest.mark.parametrize("inside", [False, True])
def test_replacing_a_file_changes_its_stamp_and_that_of_its_folder(tmp_path, change, inside):
    file = tmp_path / "pictures" / "1.jpg"
    file.parent.mkdir()
    file.write_bytes(b"abc")
    target = file.parent if inside else file
    before = stamp(target)
    assert stamp(target) == before
    change(file)
    assert stamp(target) != before


def test_adding_or_renaming_an_image_changes_the_folders_key(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"abc")
    before = stamp(tmp_path)
    (tmp_path / "1.jpg").rename(tmp_path / "2.jpg")
    assert stamp(tmp_path) != before


def test_archives_count_as_a_whole_segments_by_recording_and_commands_are_ignored(tmp_path):
    for name in ("faces.1.ark", "a:12", "long.wav"):
        (tmp_path / name).write_bytes(name.encode())
    sources = {
        "a": f"{tmp_path}/faces.1.ark:17",
        "b": f"{tmp_path}/a:12",  # a file's own name
        "c": Segment(f"{tmp_path}/long.wav", 0.5, 2.0),
        "d": "sph2pipe x.sph |",
        "e": f"{tmp_path}/absent",
    }
    found = with_stamps(dict.fromkeys(sources, 1), lambda key: [sources[key]], Shard())
    sizes = {key: media[0][2].split()[0] for key, (_, media) in found.items() if key in "abc"}
    assert sizes == {"a": "11", "b": "4", "c": "8"}
    assert found["d"] == [1, [["", sources["d"], COMMAND]]] and found["e"] == [1, [[sources["e"], "", ABSENT]]]


def test_only_a_shards_own_files_are_checked(tmp_path):
    asked = []
    found = with_stamps({key: key for key in "dcba"}, lambda key: asked.append(key) or [], Shard(2, 2))
    assert asked == ["c", "d"] and found == {"a": "a", "b": "b", "c": ["c", []], "d": ["d", []]}


def test_threads_stamp_the_files_of_a_slow_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("avsv.jobs.fingerprints.AT_A_TIME", 3)
    paths = [tmp_path / str(n) for n in range(10)]
    for n, path in enumerate(paths):
        path.write_bytes(b"x" * n)
    quick = stamp_files(map(str, paths))
    monkeypatch.setattr("avsv.jobs.fingerprints.QUICK", 0.0)
    assert stamp_files(map(str, paths)) == quick and len({s.split()[0] for s in quick.values()}) == 10


def test_a_moved_corpus_keeps_its_keys(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("1.wav", "2.wav", "faces.ark"):
        (tmp_path / "a" / name).write_text(name)

    def stamps(folder):
        tables = [{"u": f"{folder}/1.wav"}, {"u": f"{folder}/faces.ark:2"}, {"u": Segment(f"{folder}/2.wav", 0.5, 1.0)}]
        return [media_stamp([table]) for table in tables]

    before = stamps(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert stamps(tmp_path / "b") == before
    (tmp_path / "b/1.wav").write_text("other")
    assert stamps(tmp_path / "b")[0] != before[0] and stamps(tmp_path / "b")[1:] == before[1:]
    assert media_stamp([{"u": Segment(f"{tmp_path}/b/2.wav", 0.5, 1.5)}]) != before[2]
    assert media_stamp([{"u": f"{tmp_path}/b/faces.ark:4"}]) != before[1]
    assert media_stamp([{"u": "cat a |"}]) != media_stamp([{"u": "cat b |"}])


@pytest.mark.parametrize("total", [1, 2])
def test_archives_of_a_moved_corpus_stay_current(tmp_path, total):
    worked = []

    def embed(corpus, names="abcd"):
        worked.clear()
        sources = {name: str(corpus / f"{name}.wav") for name in names}

        def work(keys, out):
            worked.extend(keys)
            for key in keys:
                out.write("embedding", key, np.ones(2))

        for job in range(1, total + 1):
            inputs = with_stamps(dict.fromkeys(sources), lambda key: [sources[key]], Shard(job, total))
            make_archives(tmp_path / "out", ["embedding"], inputs, {}, work, Shard(job, total))
        return sorted(worked)

    (tmp_path / "corpus").mkdir()
    for name in "abcd":
        (tmp_path / f"corpus/{name}.wav").write_text(name)
    assert embed(tmp_path / "corpus") == list("abcd")
    (tmp_path / "corpus").rename(tmp_path / "elsewhere")
    assert embed(tmp_path / "elsewhere") == []
    (tmp_path / "elsewhere/b.wav").write_text("another")
    assert embed(tmp_path / "elsewhere") == ["b"]
    (tmp_path / "elsewhere/c.wav").rename(tmp_path / "elsewhere/x.wav")
    (tmp_path / "elsewhere/d.wav").rename(tmp_path / "elsewhere/c.wav")  # another file of the same size
    (tmp_path / "elsewhere/x.wav").rename(tmp_path / "elsewhere/d.wav")
    os.utime(tmp_path / "elsewhere/c.wav", ns=(5, 5))
    assert "c" in embed(tmp_path / "elsewhere")
