"""Every field of every configuration has a range, and any input gives a configuration or an error of one line."""

import math
import re
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.commands.train import all_tasks, task_class
from avsv.errors import InputError
from avsv.models.ranges import check_ranges
from avsv.training.config import OptimizerConfig, TrainingConfig, apply_schema, read_config

SCHEMAS = {task: task_class(task).config_class for task in all_tasks()}
FREE = {
    "task",
    "exp_dir",
    "data_dir",
    "init",
    "valid_dir",
    "noise_dir",
    "detector",
    "voice",
    "face",
    "valid_voice",
    "valid_face",
    "faces",
    "damaged_faces",
    "head",
    "voice_noise",
    "face_noise",
    "voice_quality",
    "domain_quality",
    "face_quality",
    "covariates",
    "face_damage",
    "ssl",
}  # names of files and tables, and fields that are checked elsewhere


def values_of(schema, prefix=""):
    """Fields with numbers or words: key, type, default, metadata."""
    hints = get_type_hints(schema)
    for f in fields(schema):
        if is_dataclass(hints[f.name]):
            yield from values_of(hints[f.name], f"{prefix}{f.name}.")
        elif f.name not in FREE and hints[f.name] is not bool and not any(map(is_dataclass, get_args(hints[f.name]))):
            yield prefix + f.name, hints[f.name], f


def given_for(task, **changes):
    schema = SCHEMAS[task]
    required = {f.name: f"some/{f.name}" for f in fields(schema) if f.default == "???"}
    return {**required, **changes, "task": task}


def load(folder, task, *overrides):
    path = folder / "c.yaml"
    path.write_text(yaml.safe_dump(given_for(task)))
    return apply_schema(read_config(path, list(overrides)), SCHEMAS[task], path)


@pytest.mark.parametrize("task", SCHEMAS)
def test_every_field_declares_its_range_and_defaults_are_within(task, tmp_path):
    missing = [key for key, _, f in values_of(SCHEMAS[task]) if not {"within", "choice"} & f.metadata.keys()]
    assert missing == []
    load(tmp_path, task)


@pytest.mark.parametrize("task", SCHEMAS)
def test_values_out_of_range_are_refused_by_key(task, tmp_path):
    config = load(tmp_path, task)
    for key, hint, f in values_of(SCHEMAS[task]):
        *above, name = key.split(".")
        part = getattr(config, above[0]) if above else config
        kinds = get_args(hint) or (hint,)
        n = len([kind for kind in kinds if kind is not Ellipsis])
        good = getattr(part, name)
        for value in ["nowhere"] if kinds[0] is str else [-(10**9), 10**300, math.nan, math.inf, -math.inf]:
            if value == 10**300 and f.metadata["within"]["high"] == math.inf:
                continue
            setattr(part, name, [value] * n if get_args(hint) else value)
            with pytest.raises(ValueError, match=f"^{re.escape(key)}="):
                check_ranges(config)
        setattr(part, name, good)
    check_ranges(config)


@pytest.mark.parametrize(
    ("task", "override"),
    [
        ("voice", "batch_size=1"),
        ("voice", "batch_size=0"),
        ("voice", "epochs=0"),
        ("voice", "epochs=-1"),
        ("voice", "workers=-1"),
        ("voice", "optimizer.lr=-1"),
        ("voice", "optimizer.lr=0"),
        ("voice", "optimizer.clip_norm=-1"),
        ("voice", "optimizer.betas=[2,3]"),
        ("voice", "optimizer.betas=[0.9]"),
        ("voice", "optimizer.warmup=5"),
        ("avn_e", "missing_share=5"),
        ("avn_e", "target_prior=0"),
        ("avn_e", "target_prior=2"),
        ("avn_e", "clips_per_person=-1"),
        ("avn_e", "batch_size=4 clips_per_person=4"),
        ("voice", "crop_seconds=[3,2]"),
        ("voice", "crop_seconds=[2]"),
        ("voice", "crop_seconds=[.nan,2]"),
        ("voice", "speeds=[]"),
        ("voice", "device=mps"),
        ("voice", "device=cuda:0"),
        ("voice", "weights=mean"),
        ("voice", "weights=average average_last=0"),
        ("voice", "seed=-1"),
        ("voice", "threads=-1"),
        ("voice", "seed=1.5"),
        ("voice", "epochs=many"),
        ("voice", "exp_dir="),
        ("voice", "data_dir=''"),
        ("voice", 'exp_dir="a\\0b"'),
        ("voice", "epchs=3"),
        ("voice", "optimizer=3"),
        ("voice", "blocks=3"),
        ("voice", "allow_pipes=true"),
        ("face", "face_side=[1,2]"),
        ("voice", "embedding_size=99999999999"),
    ],
)
def test_contradictory_options_are_refused_in_one_line(task, override, tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)) as error:
        load(tmp_path, task, *override.split(" "))
    assert "\n" not in str(error.value)


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.dates()
    | st.lists(st.integers() | st.floats() | st.text(max_size=3) | st.none(), max_size=3)
    | st.dictionaries(st.text(max_size=3) | st.integers(), st.integers(), max_size=2)
)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_value_of_any_key_is_a_configuration_or_refused(tmp_path_factory, data):
    task = data.draw(st.sampled_from(sorted(SCHEMAS)))
    schema = SCHEMAS[task]
    changes = {}
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from([f.name for f in fields(schema)]) | st.text(max_size=5))
        changes[key] = data.draw(ODD)
    if data.draw(st.booleans()):
        changes["optimizer"] = {data.draw(st.sampled_from([f.name for f in fields(OptimizerConfig)])): data.draw(ODD)}
    path = tmp_path_factory.mktemp("c") / "c.yaml"
    path.write_text(yaml.safe_dump({**given_for(task), **changes}), encoding="utf-8")
    try:
        config = apply_schema(read_config(path, []), schema, path)
    except InputError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return
    check_ranges(config)
    for key, _, _ in values_of(schema):
        value = config
        for part in key.split("."):
            value = getattr(value, part)
        for each in value if isinstance(value, list | tuple) else [value]:
            assert isinstance(each, str) or math.isfinite(each)


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HF_TOKEN}",
        "${oc.env:HF_TOKEN,none}",
        "${oc.decode:x}",
        "x${oc.env:A}y",
        "${oc.select:a}",
        "${oc.dict.keys:optimizer}",
        "${oc.${task}:A}",
        "${${task}}",
        "${oc.create:{a: 1}}",
        "${ oc.env:HF_TOKEN }",
        "${oc.env:",
        "\\${oc.env:A}",
    ],
)
def test_resolvers_are_refused_in_keys_and_values(text, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret123")
    path = tmp_path / "c.yaml"
    nested = {"damaged_sets": [{"data_dir": text}]}, {"optimizer": {"name": text}}
    for given_text in ({"valid_dir": text}, {text: 1}, *nested):
        path.write_text(yaml.safe_dump({**given_for("avn_e"), **given_text}))
        with pytest.raises(InputError, match=str(path)) as error:
            apply_schema(read_config(path, []), SCHEMAS["avn_e"], path)
        assert "secret123" not in str(error.value)
    path.write_text(yaml.safe_dump(given_for("avn_e")))
    with pytest.raises(InputError, match="valid_dir"):
        read_config(path, [f"valid_dir={text}"])


def test_a_value_may_refer_to_another_key(tmp_path):
    assert load(tmp_path, "voice", "valid_dir=${data_dir}/x").valid_dir == "some/data_dir/x"


@pytest.mark.parametrize(
    "text",
    [
        "task: voice\ntask: face\n",
        "optimizer: {lr: 1, lr: 2}\n",
        "a: &a [*a]\n",
        "x" * 300_000,
        "\xff\xfe",
        "a: b: c\n",
        "- 1\n",
        "",
        "--- 1\n--- 2\n",
        "&x {*x : 1}\n",
    ],
)
def test_files_that_are_not_configurations_are_refused(text, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=str(path)):
        apply_schema(read_config(path, []), TrainingConfig, path)


def test_a_byte_order_mark_is_not_part_of_the_first_key(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + yaml.safe_dump(given_for("voice")).encode())
    assert apply_schema(read_config(path, []), SCHEMAS["voice"], path).task == "voice"


@pytest.mark.parametrize(
    "words",
    [
        ("--dry-run", "--people", "5", "--clips", "20", "epochs=3"),
        ("epochs=3", "--dry-run", "--people", "5", "--clips", "20"),
        ("--dry-run", "epochs=3", "--people", "5", "channels=8", "--clips", "20"),
    ],
)
def test_overrides_may_come_before_and_after_options(avsv, tmp_path, words):
    (tmp_path / "c.yaml").write_text(
        yaml.safe_dump(given_for("voice", channels=8, attention_channels=4, batch_size=2, crop_seconds=[0.2, 0.2]))
    )
    status, output = avsv("train", tmp_path / "c.yaml", *words)
    assert status == 0 and "20 clips of 5 people" in output and "all 3 epochs" in output, output
