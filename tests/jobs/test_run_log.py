"""The log of a recipe: the lines that commands add to it."""

from avsv.jobs.provenance import MadeFrom
from avsv.jobs.run_log import KEPT, MADE, note


def test_a_note_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSV_RUN_LOG", str(tmp_path / "run.log"))
    note(MADE, "exp/a")
    note(KEPT, tmp_path / "b", "12 clips\nall")
    assert (tmp_path / "run.log").read_text() == f"  made exp/a\n  kept {tmp_path}/b: 12 clips all\n"


def test_nothing_happens_outside_a_recipe_or_if_the_log_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.delenv("AVSV_RUN_LOG", raising=False)
    note(MADE, "exp/a")
    monkeypatch.setenv("AVSV_RUN_LOG", str(tmp_path / "absent/run.log"))
    note(MADE, "exp/a")
    assert not list(tmp_path.iterdir())


def test_an_output_is_made_then_redone_and_not_noted_if_it_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSV_RUN_LOG", str(tmp_path / "run.log"))
    (tmp_path / "in").write_text("1")
    for text in ("a", "a", "bc"):
        if not (tmp_path / "out").exists() or (tmp_path / "out").read_text() != text:
            (tmp_path / "out").write_text(text)
        MadeFrom("score", {"enroll": tmp_path / "in"}).write(tmp_path / "out")
    assert (tmp_path / "run.log").read_text() == f"  made {tmp_path}/out\n  redone {tmp_path}/out\n"
