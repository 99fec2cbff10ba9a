from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from avsv.commands.train import task_class
from avsv.errors import InputError
from avsv.systems.speech.settings import ExtractorSettings, UbmSettings
from avsv.training.config import (
    OptimizerConfig,
    TrainingConfig,
    apply_schema,
    check_settings,
    read_config,
    read_settings,
    to_yaml,
)
from avsv.training.schedule import learning_rate, make_optimizer

ROOT = Path(__file__).resolve().parents[2]


def load(tmp_path, text, *overrides):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return apply_schema(read_config(path, list(overrides)), TrainingConfig, path)


GIVEN = "{task: t, exp_dir: e, data_dir: d, epochs: 3, optimizer: {lr: 0.5}}"


def test_defaults_file_and_command_line_in_this_order(tmp_path):
    config = load(tmp_path, GIVEN, "optimizer.lr=0.25", "seed=7")
    assert (config.seed, config.epochs, config.optimizer.lr, config.optimizer.name) == (7, 3, 0.25, "adam")


def test_a_written_configuration_is_read_back(tmp_path):
    config = load(tmp_path, GIVEN)
    assert load(tmp_path, to_yaml(config)) == config


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (GIVEN, ["epchs=3"], 'unknown key "epchs"; did you mean "epochs"'),
        (GIVEN, ["optimizer.lrr=3"], 'unknown key "lrr"; did you mean "lr"'),
        (GIVEN, ["epochs=many"], "epochs.*could not be converted to Integer"),
        (GIVEN, ["epochs"], "expected key=value"),
        ("{task: t}", [], '"data_dir" must be given'),
        ("a: [", [], "not a YAML mapping"),
        ("- a\n- b\n", [], "not a YAML mapping"),
    ],
)
def test_invalid_configurations_are_refused(tmp_path, text, overrides, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text, *overrides)


def test_a_training_without_exp_dir_is_written_to_a_folder_named_after_its_file(tmp_path):
    assert load(tmp_path, "{task: t, data_dir: d}").exp_dir == "exp/c"
    assert load(tmp_path, "{task: t, data_dir: d}", "exp_dir=exp/mine").exp_dir == "exp/mine"


def write_chain(folder):
    (folder / "deep").mkdir()
    text = "{task: t, exp_dir: e, data_dir: d, epochs: 3, optimizer: {name: sgd, lr: 1}, seed: 1}"
    (folder / "a.yaml").write_text(text)
    (folder / "deep/b.yaml").write_text("{base: ../a.yaml, epochs: 4, seed: 2, optimizer: {betas: [0.1, 0.2]}}")


def test_a_configuration_inherits_from_its_base_and_the_bases_base(tmp_path):
    write_chain(tmp_path)
    config = load(tmp_path, "{base: deep/b.yaml, seed: 3}", "optimizer.lr=0.25")
    assert (config.task, config.data_dir, config.epochs, config.seed) == ("t", "d", 4, 3)
    assert (config.optimizer.name, config.optimizer.lr, config.optimizer.betas) == ("sgd", 0.25, [0.1, 0.2])
    assert config.exp_dir == "exp/c"  # not inherited from its base


@pytest.mark.parametrize(("text", "message"), [
    ("base: c.yaml", r"c.yaml: base: .*c.yaml: the chain"),
    ("base: deep/../c.yaml", r"the chain"),
    ("base: round.yaml", r"round.yaml: base: .*c.yaml: the chain"),
    ("base: absent.yaml", r"c.yaml: base: .*absent.yaml: no such"),
    ("base: /etc/passwd", r'c.yaml: "base: /etc/passwd"'),
    ("base: ~/a.yaml", r"c.yaml"),
    ("base: ''", r"c.yaml"),
    ("base: [a.yaml]", r"c.yaml"),
    ("base: list.yaml", r"list.yaml: is not a YAML mapping"),
    ("base: home.yaml", r"home.yaml: data_dir: "),
])  # fmt: skip
def test_an_invalid_base_is_refused(tmp_path, text, message):
    write_chain(tmp_path)
    (tmp_path / "round.yaml").write_text("base: c.yaml")
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "home.yaml").write_text("data_dir: ${oc.env:HOME}")
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


def test_an_unknown_nested_key_is_refused_with_a_suggestion(tmp_path):
    @dataclass
    class Losses:
        margin: float = 0.2

    @dataclass
    class Config(TrainingConfig):
        losses: Losses = field(default_factory=Losses)

    given = OmegaConf.create({"losses": {"margn": 0.1}})
    with pytest.raises(InputError, match='unknown key "margn"; did you mean "margin"'):
        apply_schema(given, Config, tmp_path)


def test_an_unknown_task_and_an_absent_file(tmp_path, avsv):
    (tmp_path / "c.yaml").write_text("task: magic\n")
    status, output = avsv("train", tmp_path / "c.yaml")
    assert status == 1 and "expected one of voice, face, face_detector, face_pool" in output
    status, output = avsv("train", tmp_path / "absent.yaml")
    assert status == 1 and "no such configuration" in output


@pytest.mark.parametrize("path", sorted((ROOT / "egs").glob("*/conf/**/*.yaml")), ids=str)
def test_configurations_of_the_recipes_have_no_unknown_key(path):
    for prefix, schema in (("ubm", UbmSettings), ("ivector", ExtractorSettings)):  # of avsv speech, not of avsv train
        if path.stem.startswith(prefix):
            assert check_settings(read_settings(path, []), schema, path)
            return
    given = read_config(path, [])
    config = apply_schema(given, task_class(given.task).config_class, path)
    make_optimizer(torch.nn.Linear(1, 1), config.optimizer)
    assert learning_rate(config.optimizer, 0, 100) >= 0


@pytest.mark.parametrize("text", ["[" * 30000, "a: &a [1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi"))])  # fmt: skip
def test_a_small_file_that_would_expand_to_a_huge_one_is_refused(tmp_path, text):
    (tmp_path / "bomb.yaml").write_text(text)
    with pytest.raises(InputError, match=r"more than 20 levels, or more than 10 aliases"):
        read_config(tmp_path / "bomb.yaml", [])


@pytest.mark.parametrize("all_of_them", [False, True])
def test_biases_are_decayed_only_on_request(all_of_them):
    optimizer = make_optimizer(torch.nn.Linear(2, 3), OptimizerConfig(weight_decay=0.5, decay_all=all_of_them))
    decay = {p.ndim: group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert decay == {2: 0.5, 1: 0.5 if all_of_them else 0.0}
