"""An untrusted experiment: links, markup in every name and text, and malformed files."""

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.evaluation.report.about import configuration_section, find_skipped, skipped_section
from avsv.evaluation.report.html import joined
from avsv.evaluation.report.results import Options
from avsv.jobs.provenance import MadeFrom, sources_of
from avsv.systems.association.report import read_records
from tests.evaluation.report.small_report import make_experiment

SECRET = "nobody-should-read-this"
HOSTILE = "<img src=x onerror=alert(1)>&\"'</pre><script>alert(1)</script>"


@pytest.fixture
def experiment(tmp_path):
    return make_experiment(tmp_path, conditions=("",))


def write_secret(folder):
    """A file outside the experiment, with lines that its reader would accept."""
    path = folder / "secret"
    path.write_text(f'{{"{SECRET}": "{SECRET}"}}\n')
    return path


PLACES = ["config.yaml", "run.json", "history.jsonl", "set/skipped", "scores/x.json", "scores/t.cosine.missing"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("through", ["file", "folder"])
def test_a_link_that_leads_out_of_the_experiment_is_not_shown(experiment, place, through, caplog):
    secret = write_secret(experiment.folder)
    link = experiment.exp / "voice" / place
    if place in ("run.json", "history.jsonl"):
        (experiment.exp / "voice/config.yaml").write_text("task: voice\n")
    if through == "folder" and "/" in place and not place.startswith("scores"):
        (experiment.folder / "else").mkdir()
        (experiment.folder / "else" / Path(place).name).write_bytes(secret.read_bytes())
        link.parent.symlink_to(experiment.folder / "else")
    else:
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(os.path.relpath(secret, link.parent))
    page = (experiment.report(options=Options(n_resamples=0)) / "index.html").read_text()
    assert SECRET not in page
    assert str(link) in caplog.text


def test_a_link_within_the_experiment_is_shown(experiment):
    (experiment.exp / "voice/real.yaml").write_text(f"task: {SECRET}\n")
    (experiment.exp / "voice/config.yaml").symlink_to("real.yaml")
    assert SECRET in (experiment.report(options=Options(n_resamples=0)) / "index.html").read_text()


@pytest.mark.parametrize("name", [".index.html.part", ".results.md.part", ".results.json.part"])
def test_a_link_under_the_name_of_a_part_file_is_not_followed(experiment, name):
    precious = experiment.folder / "precious"
    precious.write_text("precious")
    (experiment.folder / "results").mkdir()
    (experiment.folder / "results" / name).symlink_to(precious)
    with pytest.raises(InputError):
        experiment.report(options=Options(n_resamples=0))
    assert precious.read_text() == "precious"


def test_a_folder_of_media_that_is_a_link_is_refused(experiment):
    """Files of an earlier report are removed there: any name of 16 hexadecimal digits and .mp3."""
    mine = experiment.folder / "mine"
    mine.mkdir()
    (mine / "0123456789abcdef.mp3").write_text("song")
    (experiment.folder / "results").mkdir()
    (experiment.folder / "results/media").symlink_to(mine)
    with pytest.raises(InputError, match="media"):
        experiment.report(options=Options(n_resamples=0))
    assert [path.name for path in mine.iterdir()] == ["0123456789abcdef.mp3"]


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_markup_in_names_and_texts_is_text(experiment, monkeypatch):
    name = HOSTILE.replace("/", "\N{DIVISION SLASH}")
    monkeypatch.setenv("AVSV_TEST_SECRET", SECRET)
    system = experiment.exp / "voice"
    (system / "run.json").write_text(json.dumps({"command": HOSTILE, "versions": {HOSTILE: HOSTILE}}))
    (system / "history.jsonl").write_text(json.dumps({"epoch": HOSTILE, HOSTILE: 1.0}))
    (system / "config.yaml").write_text(f"{HOSTILE}\n${{oc.env:AVSV_TEST_SECRET}}\n$AVSV_TEST_SECRET\n")
    (system / "set").mkdir()
    (system / "set/skipped").write_text(f"p0 {HOSTILE}\n")
    (system / "scores/x.json").write_text(json.dumps({HOSTILE: HOSTILE}))
    (system / f"scores/t@{name}.cosine").write_bytes((system / "scores/t.cosine").read_bytes())
    (experiment.exp / "face").rename(experiment.exp / name)
    gender = HOSTILE.split()[0] + HOSTILE.split()[-1]
    (experiment.data / "spk2gender").write_text("".join(f"p{number} {gender}\n" for number in range(6)))
    results = experiment.report(options=Options(n_resamples=0))
    page = (results / "index.html").read_text()
    elements = Elements(page).found
    assert SECRET not in page
    assert sum(tag == "script" for tag, _ in elements) == 1
    for tag, attributes in elements:
        assert not any(key.startswith("on") for key in attributes), (tag, attributes)
        if tag in ("img", "audio"):
            assert attributes["src"].startswith("media/")
    assert not Elements((results / "results.md").read_text()).found
    for drawing in results.glob("*.svg"):
        assert not {tag for tag, _ in Elements(drawing.read_text()).found} & {"img", "script", "pre"}


def test_a_network_of_an_earlier_run_is_named_and_not_shown(tmp_path):
    """exp/voice is an earlier training; the scores were made with another model since."""
    for name in ("voice", "other", "detector"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("task: x\n")
        (tmp_path / name / "model.ckpt").write_text(name)
    (tmp_path / "other/copy.onnx").write_text("detector")
    scores = tmp_path / "scores"
    made = MadeFrom("embed-voice", {"model": [tmp_path / "other/model.ckpt", tmp_path / "other/copy.onnx"]})
    scores.write_text("a b 1\n")
    made.write(scores)
    text = joined(configuration_section(tmp_path, [], sources_of(scores, "model")))
    assert {name for name in ("voice", "other", "detector") if f"<b>{name}</b>" in text} == {"other", "detector"}
    assert "not used for these scores: voice." in text


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SIMPLE, lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text(max_size=9), one, max_size=4), max_leaves=10
)
KEYED = st.dictionaries(st.sampled_from(["epoch", "loss", "command", "versions", "inputs"]), JSON, max_size=4)
TEXT = st.one_of(st.binary(max_size=80), JSON.map(lambda value: json.dumps(value).encode()),
                 KEYED.map(lambda value: json.dumps(value).encode()),
                 st.sampled_from([b"[" * 100_000, b'{"epoch": 1, "loss": 1' + b"0" * 5000 + b"}"]))  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), content=TEXT)
def test_a_malformed_file_is_shown_or_named(tmp_path, place, content):
    system = tmp_path / "s"
    for folder in ("set", "scores"):
        (system / folder).mkdir(parents=True, exist_ok=True)
    for other in PLACES:
        (system / other).unlink(missing_ok=True)
    (system / "config.yaml").write_text("task: x\n")
    (system / place).write_bytes(content)
    try:
        joined([skipped_section(find_skipped(tmp_path), tmp_path), *configuration_section(tmp_path, [])])
    except InputError as error:
        assert place in str(error)


MEASURE = {"protocol": "verification", "list": "v_U", "eer_percent": 5.0, "eer_ci95": [4.0, 6.0], "eer_p": 0.5,
           "auc_percent": 9.0, "auc_ci95": None, "auc_p": None, "chance_percent": 50.0, "n_target": 1,
           "n_nontarget": 1, "n_people": 2}  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(TEXT, st.tuples(st.sampled_from(sorted(MEASURE)), JSON).map(
    lambda change: json.dumps([{**MEASURE, change[0]: change[1]}]).encode())))  # fmt: skip
def test_malformed_measures_are_refused_by_name(tmp_path, content):
    path = tmp_path / "unseen.json"
    path.write_bytes(content)
    try:
        records = read_records(path)
    except InputError as error:
        assert "unseen.json" in str(error)
    else:
        assert all(record.keys() == MEASURE.keys() for record in records)


def test_a_valid_measure_is_read(tmp_path):
    (tmp_path / "unseen.json").write_text(json.dumps([MEASURE]))
    assert read_records(tmp_path / "unseen.json") == [MEASURE]
