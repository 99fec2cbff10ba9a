"""The origin of each row, and the rows whose origin differs from most."""

import pytest

from avsv.evaluation.report.html import joined
from avsv.evaluation.report.provenance import differing, how_made, provenance_section
from avsv.evaluation.report.results import Options
from avsv.evaluation.results import find_score_files
from avsv.jobs.provenance import MadeFrom
from tests.evaluation.report.small_report import make_experiment


def embed(experiment, system, test_set, model="one"):
    """Embeddings with a record that names a model."""
    folder = experiment.exp / system / test_set
    folder.mkdir(parents=True, exist_ok=True)
    network = experiment.exp / system / f"{model}.ckpt"
    network.write_text(f"{system} {model}")
    made = MadeFrom(f"embed-{system}", {"model": network, "data": experiment.data / "utt2spk"}, {"frames": 3})
    (folder / "embedding.scp").write_text("")
    made.write(folder / "embedding.scp")


def record_scores(experiment, system, condition, **options):
    folder = experiment.exp / system
    suffix = f"_{condition}" if condition else ""
    made = MadeFrom("score", {"enroll": folder / f"test{suffix}" / "embedding.scp"}, {"backend": "cosine"} | options)
    made.write(folder / "scores" / f"t{'@' + condition if condition else ''}.cosine")


@pytest.fixture
def experiment(tmp_path):
    """Two systems under two conditions, with records of everything."""
    experiment = make_experiment(tmp_path)
    for system in ("voice", "face"):
        for condition in ("", "noisy"):
            embed(experiment, system, f"test_{condition}" if condition else "test")
            record_scores(experiment, system, condition)
    return experiment


def compare_rows(experiment):
    """System and condition of the rows that differ -> kinds of difference."""
    files = find_score_files(experiment.exp, ["t"])
    found = differing(how_made(experiment.exp, files), files)
    return {(file.system, file.condition): list(found[file.path]) for file in files if file.path in found}


def test_rows_of_one_run_agree(experiment):
    assert compare_rows(experiment) == {}


def test_a_row_from_another_model_is_marked(experiment):
    embed(experiment, "voice", "test_noisy", model="two")
    record_scores(experiment, "voice", "noisy")
    for number in range(2):  # more rows of the usual model
        scores = experiment.exp / "voice/scores/t.cosine"
        scores.with_name(f"t.cosine_{number}").write_bytes(scores.read_bytes())
        made = MadeFrom("normalize", {"enroll": experiment.exp / "voice/test/embedding.scp"})
        made.write(scores.with_name(f"t.cosine_{number}"))
    assert compare_rows(experiment) == {("voice", "noisy"): ["model"]}


@pytest.mark.parametrize(("detector", "marked"), [("detector", {}), ("other", {("face", "clean"): ["model"]})])
def test_faces_aligned_before_need_no_detector_of_the_pack(experiment, detector, marked):
    network = experiment.exp / "face/one.ckpt"
    for name in ("detector", "other"):
        (experiment.exp / "face" / f"{name}.onnx").write_text(name)
    for test_set, networks in (("test", [network, f"{detector}.onnx"]), ("test_noisy", [network, "detector.onnx"]),
                               ("train", [network])):  # fmt: skip
        networks = [experiment.exp / "face" / path for path in networks]
        (experiment.exp / "face" / test_set).mkdir(exist_ok=True)
        (experiment.exp / "face" / test_set / "embedding.scp").write_text("")
        made = MadeFrom("embed-face", {"model": networks}, {"networks": [path.name for path in networks]})
        made.write(experiment.exp / "face" / test_set / "embedding.scp")
    for condition in ("", "noisy"):
        record_scores(experiment, "face", condition)
    files = {"t.cosine_1": "test", "t@noisy.cosine_1": "test_noisy", "t@noisy.cosine_2": "test_noisy"}
    for name, test_set in files.items():
        scores = experiment.exp / "face/scores" / name
        scores.write_bytes((experiment.exp / "face/scores/t.cosine").read_bytes())
        folders = [experiment.exp / "face" / folder / "embedding.scp" for folder in (test_set, "train")]
        MadeFrom("normalize", {"enroll": folders}).write(scores)
    assert compare_rows(experiment) == marked


def test_fusions_with_models_of_their_own_and_domains_of_different_sizes_agree(experiment):
    """Two back-ends of one system, each with a saved model, and adaptation of the training and the test people."""
    scores = experiment.exp / "voice/scores/t.cosine"
    for number, people in enumerate((40, 40, 24)):
        adapted = experiment.exp / f"voice_adapted/{'train' if people == 40 else 'test'}/embedding.scp"
        adapted.parent.mkdir(parents=True, exist_ok=True)
        adapted.write_text(f"{people}")
        MadeFrom("adapt", {"embeddings": scores}, {"people": people}).write(adapted)
        model, fused = (experiment.exp / f"fused/{folder}.x_{number}{end}"
                        for folder, end in (("dev/dev", ".json"), ("scores/t", "")))  # fmt: skip
        for path in (model, fused):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(scores.read_bytes())
        MadeFrom("fuse", {"train scores": adapted}, {"log of quality": [number]}).write(model)
        MadeFrom("fuse", {"model": model, "scores": adapted}, {"log of quality": [number]}).write(fused)
    assert compare_rows(experiment) == {}


def test_a_row_with_other_options_is_marked(experiment):
    record_scores(experiment, "face", "noisy", missing="keep")
    assert compare_rows(experiment) == {("face", "noisy"): ["options"]}
    html = (experiment.report(options=Options(n_resamples=0)) / "index.html").read_text()
    assert html.count('class="badge warning"') == 1
    assert "score cosine: backend=cosine, missing=keep" in html


def test_a_row_without_a_record_is_marked_if_others_have_one(experiment):
    next((experiment.exp / "face/scores").glob(".t.cosine.*")).unlink()
    assert compare_rows(experiment) == {("face", "clean"): ["no record"]}


def test_models_options_and_data_are_shown(experiment):
    files = find_score_files(experiment.exp, ["t"])
    text = joined([provenance_section(files, how_made(experiment.exp, files), {})])
    assert "exp/voice/one.ckpt" in text
    assert "embed-voice voice: frames=3" in text
    assert "data/test/utt2spk" in text


def test_without_any_record_nothing_is_marked(tmp_path):
    experiment = make_experiment(tmp_path)
    assert compare_rows(experiment) == {}
    assert "No score file has a record" in (experiment.report() / "index.html").read_text()


def test_a_system_that_was_not_selected_is_left_out(experiment):
    (experiment.exp / "face/test/skipped").write_text("u is silent\n")
    (experiment.exp / "face/config.yaml").write_text("task: face\n")
    folder = experiment.report(options=Options(n_resamples=0, systems=["voice"]))
    assert "task: face" not in (folder / "index.html").read_text()
    assert "is silent" not in (folder / "index.html").read_text()
    assert "face" not in (folder / "results.md").read_text()
