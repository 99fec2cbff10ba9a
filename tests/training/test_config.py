import pytest

from avsv.errors import UserError
from avsv.training.config import TrainingConfig, apply_schema, read_config, to_yaml


def load(tmp_path, text, *overrides):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return apply_schema(read_config(path, list(overrides)), TrainingConfig, path)


GIVEN = "{task: t, exp_dir: e, data_dir: d, epochs: 3, optimizer: {lr: 0.5}}"


def test_defaults_file_and_command_line_in_this_order(tmp_path):
    config = load(tmp_path, GIVEN, "optimizer.lr=0.25", "seed=7")
    assert (config.seed, config.epochs, config.optimizer.lr, config.optimizer.name) == (7, 3, 0.25, "adam")


def test_what_is_written_is_read_again(tmp_path):
    config = load(tmp_path, GIVEN)
    assert load(tmp_path, to_yaml(config)) == config


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (GIVEN, ["epchs=3"], 'unknown key "epchs"; did you mean "epochs"'),
        (GIVEN, ["optimizer.lrr=3"], 'unknown key "lrr"; did you mean "lr"'),
        (GIVEN, ["epochs=many"], "epochs.*could not be converted to Integer"),
        (GIVEN, ["epochs"], "expected key=value"),
        ("{task: t, data_dir: d}", [], '"exp_dir" must be given'),
        ("a: [", [], "not a YAML mapping"),
        ("- a\n- b\n", [], "not a YAML mapping"),
    ],
)
def test_mistakes_are_told(tmp_path, text, overrides, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, text, *overrides)


def test_an_unknown_task_and_an_absent_file(tmp_path, avsv):
    (tmp_path / "c.yaml").write_text("task: magic\n")
    status, said = avsv("train", tmp_path / "c.yaml")
    assert status == 1 and "expected one of voice, face, face_detector, avn_e" in said
    status, said = avsv("train", tmp_path / "absent.yaml")
    assert status == 1 and "no such configuration" in said
