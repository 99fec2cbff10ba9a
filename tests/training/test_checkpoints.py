import json

import pytest
import torch
from torch import nn

from avsv.errors import InputError
from avsv.losses.heads import NewLinear, Softmax
from avsv.losses.margin import AAMSoftmax
from avsv.models.checkpoint import write_torch
from avsv.training.checkpoints import average_weights, load_state, load_weights
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.experiment import finish_experiment, start_experiment
from avsv.training.trainer import Trainer


class Model(nn.Module):
    def __init__(self, n_classes=3, width=4):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))
        self.loss = AAMSoftmax(width, n_classes)


def train(exp_dir, model=None, errors=(4.0, 2.0, 2.0, 3.0), inputs="same people", seed=0, **more):
    """An experiment of four epochs with given EERs; returns the weights after each epoch."""
    config = TrainingConfig(task="t", exp_dir=str(exp_dir), data_dir="d", epochs=4, device="cpu", threads=1,
                            optimizer=OptimizerConfig(lr=0.05), **more)  # fmt: skip
    torch.manual_seed(seed)
    model = model or Model()
    assert start_experiment(config, {"data": inputs})
    trainer, seen = Trainer(model, config), []

    def validate(model):
        assert not model.training
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"eer_percent": errors[len(seen) - 1]}

    def step(batch):
        return model.loss(model.net(batch), torch.arange(6) % 3)[0], {}

    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.resume()
    started = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.fit(step, lambda epoch: [torch.randn(6, 3)] * 2, 2, validate)
    finish_experiment(config)
    return model.state_dict(), seen, before, started


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_an_experiment_ends_with_the_selected_weights(tmp_path):
    last, seen, *_ = train(tmp_path / "last")
    assert same(last, seen[3]) and same(load_weights(tmp_path / "last"), seen[3])
    best, seen, *_ = train(tmp_path / "best", weights="best")
    assert same(best, seen[1]) and same(load_weights(tmp_path / "best"), seen[1])  # the earlier of two equal epochs
    average, seen, *_ = train(tmp_path / "average", weights="average", average_last=3)
    assert same(load_weights(tmp_path / "average"), average)
    for name, value in average.items():
        mean = torch.stack([weights[name].double() for weights in seen[1:]]).mean(0)
        assert torch.allclose(value.double(), seen[3][name].double() if "num_batches" in name else mean), name
    assert len(list((tmp_path / "average" / "epochs").iterdir())) == 3


def test_the_average_keeps_types_and_counts(tmp_path):
    for number, value in enumerate((1.0, 2.0)):
        weights = {"w": torch.tensor([value], dtype=torch.bfloat16), "n": torch.tensor(number)}
        write_torch(tmp_path / f"{number}.pt", {"model": weights})
    average = average_weights([tmp_path / "0.pt", tmp_path / "1.pt"])
    assert average["w"].item() == 1.5 and average["w"].dtype == torch.bfloat16 and average["n"].item() == 1


def test_init_loads_the_weights_of_a_finished_experiment(tmp_path):
    _, seen, *_ = train(tmp_path / "first", weights="best")
    _, _, before, started = train(tmp_path / "second", init=str(tmp_path / "first"), seed=1)
    assert same(started, seen[1]) and not same(started, before)
    assert "init" in json.loads((tmp_path / "second" / "run.json").read_text())["inputs"]


def test_init_from_other_people_loads_only_the_network_and_logs_it(tmp_path, caplog):
    _, seen, *_ = train(tmp_path / "first")
    with caplog.at_level("INFO", logger="avsv"):
        _, _, before, started = train(tmp_path / "second", init=str(tmp_path / "first"), inputs="others", seed=1)
    for name, value in started.items():
        assert torch.equal(value, (before if name.startswith("loss.") else seen[3])[name]), name
    assert "loss.weight" in caplog.text
    _, _, before, started = train(tmp_path / "third", model=Model(n_classes=5), init=str(tmp_path / "first"))
    assert started["loss.weight"].shape == (5, 4)


class Softly(Model):
    """A softmax classifier in place of the margin loss, and a layer that the first phase of a training lacks."""

    def __init__(self, new=False):
        super().__init__()
        self.loss, self.new = Softmax(4, 3), NewLinear(4, 2) if new else nn.Identity()


def test_init_of_a_second_phase_drops_the_classifier_and_keeps_new_layers_random(tmp_path, caplog):
    _, seen, *_ = train(tmp_path / "first", model=Softly())
    with caplog.at_level("INFO", logger="avsv"):
        _, _, before, started = train(tmp_path / "second", model=Softly(new=True), init=str(tmp_path / "first"), seed=1)
    for name, value in started.items():
        assert torch.equal(value, (before if name.startswith("new.") else seen[3])[name]), name
    assert "new.weight" in caplog.text
    _, _, before, started = train(
        tmp_path / "others", model=Softly(), init=str(tmp_path / "first"), inputs="others", seed=1
    )
    assert torch.equal(started["loss.out.weight"], before["loss.out.weight"])
    assert torch.equal(started["net.0.weight"], seen[3]["net.0.weight"])


def test_init_from_another_architecture_is_refused(tmp_path):
    train(tmp_path / "first")
    with pytest.raises(InputError, match=r"init=.*net\.0\.weight .*\(4, 3\)"):
        train(tmp_path / "second", model=Model(width=5), init=str(tmp_path / "first"))
    (tmp_path / "first" / "done").unlink()
    with pytest.raises(InputError, match=str(tmp_path / "first")):
        train(tmp_path / "third", init=str(tmp_path / "first"))


def test_best_weights_need_held_out_people(tmp_path):
    config = TrainingConfig(task="t", exp_dir=str(tmp_path), data_dir="d", device="cpu", weights="best")
    with pytest.raises(InputError, match=r"weights=best: .* valid_dir"):
        Trainer(nn.Linear(1, 1), config).fit(None, None, 1)
    config.weights = "worst"
    with pytest.raises(InputError, match="weights=worst: expected one of last, best, average"):
        Trainer(nn.Linear(1, 1), config)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 no more")
    with pytest.raises(InputError, match=r"checkpoint\.pt: "):
        load_state(tmp_path / "checkpoint.pt")
