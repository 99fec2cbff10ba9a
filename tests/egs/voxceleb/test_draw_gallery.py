"""Galleries and probes of run_identification.sh: apart by session, and halves of people apart in training."""

import pytest

from avsv.kaldi.enrolment_maps import read_enrolment_map
from avsv.kaldi.tables import read_table, write_table
from avsv.kaldi.trials import read_trials
from tests.egs.voxceleb.scripts import prepare


@pytest.fixture
def sets(tmp_path):
    """Two data directories of four people each, with three sessions of two clips; and a person of one session."""
    folders = []
    for number, people in enumerate((["a", "b", "c", "d"], ["e", "f", "g", "h", "one"])):
        folder = tmp_path / f"set{number}"
        names = [f"{p}-{s}-{k}" for p in people for s in range(1 if p == "one" else 3) for k in range(2)]
        write_table(folder / "wav.scp", {name: f"{name}.wav" for name in names})
        write_table(folder / "utt2spk", {name: name.split("-")[0] for name in names})
        write_table(folder / "utt2vid", {name: name.rpartition("-")[0] for name in names})
        write_table(folder / "spk2gender", dict.fromkeys(people, "m"))
        folders.append(folder)
    return folders


def test_probes_are_of_other_sessions_than_the_gallery(sets, tmp_path):
    status, output = prepare("draw_gallery.py", tmp_path / "out", *sets)
    assert status == 0, output
    assert "1 people" in output and "one" in output
    gallery = read_enrolment_map(tmp_path / "out/gallery")
    probes = read_table(tmp_path / "out/probes")
    assert sorted(gallery) == list("abcdefgh")
    for person, enrolled in gallery.items():
        sessions = {name.rpartition("-")[0] for name in enrolled}
        assert len(enrolled) == 2 and len(sessions) == 1
        others = [name for name, of in probes.items() if of == person]
        assert len(others) == 4 and not sessions & {name.rpartition("-")[0] for name in others}
    assert set(read_table(tmp_path / "out/utt2spk")) == {
        *probes,
        *(name for names in gallery.values() for name in names),
    }


def test_fusions_of_a_half_are_trained_on_the_people_of_the_other(sets, tmp_path):
    assert prepare("draw_gallery.py", "--probes", 2, tmp_path / "out", *sets)[0] == 0
    tested, trained = ([read_trials(tmp_path / f"out/models/{name}.{half}") for half in (1, 2)]
                       for name in ("test", "train"))  # fmt: skip
    for number in (0, 1):
        people = {name[0] for name in tested[number].test_ids}
        assert len(people) == 4
        assert set(tested[number].enroll_ids) == set("abcdefgh")
        assert len(tested[number]) == 8 * 8 and tested[number].labels.sum() == 8
        others = {name[0] for name in trained[1 - number].test_ids} | set(trained[1 - number].enroll_ids)
        assert not people & others


def test_the_same_recording_in_two_sets_and_too_few_people_are_refused(sets, tmp_path):
    status, output = prepare("draw_gallery.py", tmp_path / "out", sets[0], sets[0])
    assert status == 1 and "a-0-0" in output
    status, output = prepare("draw_gallery.py", "--enroll", 9, tmp_path / "out", *sets)
    assert status == 1 and "at least 4" in output
