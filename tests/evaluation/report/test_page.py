"""The report's folder: its files, the references of its page, and hostile names in the data."""

import json
import re
from html.parser import HTMLParser

import pytest
import soundfile
from PIL import Image

from avsv.errors import InputError, OptionError
from avsv.evaluation.report.results import Options
from tests.evaluation.report.small_report import HOSTILE, make_experiment

VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """The elements of a page, their texts, and whether every opened element is closed."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return make_experiment(tmp_path_factory.mktemp("experiment"))


@pytest.fixture(scope="module")
def folder(experiment):
    return experiment.report()


@pytest.fixture(scope="module")
def html(folder):
    return Page(folder / "index.html")


def test_every_element_that_is_opened_is_closed(html):
    assert html.open == []


def test_files_that_the_page_refers_to_are_in_its_folder(html, folder):
    anchors = {attributes["id"] for _, attributes in html.elements if "id" in attributes}
    addresses = [attributes[key] for _, attributes in html.elements for key in ("src", "href") if key in attributes]
    assert any(address.endswith(".mp3") for address in addresses)
    assert any(address.endswith(".jpg") for address in addresses)
    for address in addresses:
        if address.startswith("#"):
            assert address[1:] in anchors
        elif address != "data:,":
            assert (folder / address).is_file()


def test_the_page_has_no_network_address(folder):
    text = (folder / "index.html").read_text()
    assert "//" not in text.replace("// ", "")


def test_identifiers_of_the_page_are_unique(html):
    ids = [attributes["id"] for _, attributes in html.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_hostile_name_is_text(html, folder):
    assert HOSTILE in html.text
    assert not [a for _, a in html.elements if any(key.startswith("on") for key in a)]
    assert len(html.all("script")) == 1
    assert all(re.fullmatch(r"[0-9a-f]{16}\.(mp3|jpg)", path.name) for path in (folder / "media").iterdir())


def test_only_the_report_s_own_script_may_run(html):
    policies = [a["content"] for a in html.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert re.match(r"script-src 'sha256-[\w+/=]+';", policies[0])


def test_the_first_sentence_names_the_best_system_of_the_results(html, folder):
    records = json.loads((folder / "results.json").read_text())
    best = min((r for r in records if r["condition"] == "clean"), key=lambda r: r["eer_percent"])
    assert f"On t, clean, {best['system']} (cosine) has an equal error rate of {best['eer_percent']:.2f} %" in (
        html.text.replace("  ", " ")
    )


def test_tables_are_complete_without_the_script(html):
    heads = [attributes for attributes in html.all("th") if attributes.get("scope") == "col"]
    values = [float(attributes["data-v"]) for attributes in html.all("td") if "data-v" in attributes]
    assert len(html.all("table")) >= 3
    assert len(heads) > 20
    assert len(values) > 20
    assert not html.all("button")


def test_each_system_has_curves_with_bands_and_a_histogram_in_each_condition(folder):
    text = (folder / "index.html").read_text()
    assert text.count('class="band ') == 4
    assert text.count('aria-label="Scores of ') == 4
    assert text.count('aria-label="Normalised Bayes error rate of ') == 2
    assert sorted(path.name for path in folder.glob("det_*")) == ["det_t@clean.svg", "det_t@noisy.svg"]


def test_audio_is_short_and_images_are_small(folder):
    for path in (folder / "media").glob("*.mp3"):
        assert soundfile.info(path).duration <= 10.2
    for path in (folder / "media").glob("*.jpg"):
        with Image.open(path) as picture:
            assert max(picture.size) == 160


def test_a_recording_is_written_once_per_damage(folder):
    assert len(list((folder / "media").glob("*.jpg"))) <= 24
    assert len(list((folder / "media").glob("*.mp3"))) <= 48


def test_damage_is_named_and_audible_and_missing_media_are_listed(html):
    assert "voice: noise, snr 3" in html.text
    assert "no face" in html.text


def test_the_same_files_give_the_same_bytes(experiment, folder):
    again = experiment.report("again")
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for path in files:
        if path.name.endswith("made_from.json"):  # holds the times of the files
            continue
        assert (folder / path).read_bytes() == (again / path).read_bytes()


def test_media_of_an_earlier_report_are_removed_and_other_files_stay(experiment):
    media = experiment.folder / "again" / "media"
    media.mkdir(parents=True, exist_ok=True)
    for name in ("0123456789abcdef.mp3", "mine.mp3"):
        (media / name).touch()
    experiment.report("again")
    assert not (media / "0123456789abcdef.mp3").exists()
    assert (media / "mine.mp3").exists()


def test_records_have_differences_and_subsets(experiment):
    options = Options(n_resamples=50, utt2spk=experiment.data / "utt2spk", by=[experiment.data / "spk2gender"])
    folder = experiment.report("by", options)
    records = json.loads((folder / "results.json").read_text())
    assert {r["system"]: r["against_reference"] is None for r in records[:2]} == {"face": True, "voice": False}
    assert set(records[0]["subsets"]["spk2gender"]) == {"f-f", "f-m", "m-m"}
    text = Page(folder / "index.html").text
    assert "EER by spk2gender" in text
    assert "without EER: f-m" in text


def test_the_reference_can_be_chosen_and_must_exist(experiment):
    records = json.loads((experiment.report("r", Options(reference="voice")) / "results.json").read_text())
    assert records[0]["reference"] == ["voice", "cosine"]
    with pytest.raises(OptionError, match=r"reference: .* face, voice"):
        experiment.report("r", Options(reference="fce"))


def test_one_reference_is_marked_in_every_table_and_figure(experiment):
    options = Options(
        n_resamples=50, utt2spk=experiment.data / "utt2spk", reference="voice", by=[experiment.data / "spk2gender"]
    )
    html = Page(experiment.report("marked", options) / "index.html")
    classes = [attributes.get("class", "") for _, attributes in html.elements]
    assert [a["class"] for a in html.all("tr") if "class" in a] == 3 * ["reference"]  # overview, clean, noisy
    lines = [c for c in classes if c.startswith("line ") and c.endswith(" reference")]
    assert set(lines) == {"line c1 reference"}  # face is c0
    assert {c for c in classes if c.startswith("bar ") and "reference" in c} == {"bar c1 reference"}
    assert "voice (cosine) has an equal error rate" in html.text
    assert "above the best other system, face (cosine)" in html.text


def test_the_references_back_end_may_be_spelt_as_in_its_file_name(tmp_path):
    experiment = make_experiment(tmp_path)
    for scores in (experiment.exp / "voice" / "scores").iterdir():
        lines = [line.split() for line in scores.read_text().splitlines()]
        scores.with_name(f"{scores.name}_as-norm").write_text("".join(f"{a} {b} {-float(s)}\n" for a, b, s in lines))
    folder = experiment.report("n", Options(n_resamples=0, reference="voice.cosine_as-norm"))
    records = json.loads((folder / "results.json").read_text())
    assert {tuple(record["reference"]) for record in records} == {("voice", "cosine+as-norm")}
    assert {r["condition"] for r in records if r["against_reference"] is None} == {"clean", "noisy"}


def test_names_are_explained(html):
    terms = html.text.partition("Systems and back-ends ")[2]
    assert "face embeddings of the image alone" in terms
    assert "cosine of the two embeddings" in terms


def test_published_figures_are_in_a_column_marked_as_not_measured(experiment):
    path = experiment.folder / "published"
    path.write_text("list\tsystem\teer_percent\tsource\nt\tvoice\t1.5\tA & B, 2020\nt\tother\t2.5\tA & B, 2020\n")
    text = Page(experiment.report("p", published=path) / "index.html").text
    assert text.count("not measured") == 1  # figures are of the clean condition
    assert "1.5 % [1]" in text
    assert "other published" in text
    assert "A & B, 2020" in text


def test_without_resamples_the_report_has_no_intervals(experiment):
    folder = experiment.report("none", Options(n_resamples=0))
    text = (folder / "index.html").read_text()
    assert 'class="band' not in text
    assert "95 % interval" not in text.partition("</header>")[0]


def test_trials_of_one_class_have_a_table_and_no_curves(tmp_path):
    experiment = make_experiment(tmp_path)
    for path in (experiment.data / "trials" / "t", *experiment.exp.glob("*/scores/*")):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line[:2] == line.split()[1][:2]))
    text = Page(experiment.report() / "index.html").text
    assert "No error rate is defined" in text
    assert "Detection error tradeoff" not in text


def test_commands_are_not_run_and_bad_media_are_listed(tmp_path):
    experiment = make_experiment(tmp_path)
    table = experiment.data / "wav.scp"
    lines = table.read_text().splitlines()
    touched = tmp_path / "touched"
    piped = [f"{line.split()[0]} touch {touched} |" for line in lines[::2]]
    absent = [f"{line.split()[0]} {tmp_path}/absent.wav" for line in lines[1::2]]
    table.write_text("".join(f"{line}\n" for line in sorted(piped + absent)))
    text = Page(experiment.report() / "index.html").text
    assert not touched.exists()
    assert "the audio comes from a command" in text
    assert "absent.wav: no such file" in text


def test_without_a_data_directory_the_trials_are_named(tmp_path):
    experiment = make_experiment(tmp_path)
    for path in tmp_path.glob("data/*/utt2spk"):
        path.unlink()
    folder = experiment.report(options=Options(n_resamples=0))
    assert not (folder / "media").exists()
    assert "p1-1" in Page(folder / "index.html").text
    with pytest.raises(InputError, match="expected a data directory with utt2spk"):
        experiment.report(data_dir=experiment.data)
