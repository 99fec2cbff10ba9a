"""The folder of a training that is damaged, from another version, or of another network: one line, no traceback."""

import json
import os
import re
import shutil

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avsv.embeddings.face_pool import FacePool, load_face_pool, save_face_pool
from avsv.errors import InputError
from avsv.models.checkpoint import write_torch
from avsv.training.batches import Batches
from avsv.training.checkpoints import final_weights, load_weights
from avsv.training.config import OptimizerConfig, TrainingConfig
from avsv.training.experiment import finish_experiment, start_experiment
from avsv.training.trainer import Trainer


def config(folder, **changes):
    return TrainingConfig(task="t", exp_dir=str(folder), data_dir="d", epochs=3, batch_size=4, workers=0, threads=1,
                          device="cpu", optimizer=OptimizerConfig(lr=0.1), **changes)  # fmt: skip


class Net(torch.nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.layer = torch.nn.Linear(2, width)


def train(folder, net=None, **changes):
    """Train a small network; False if it was already finished."""
    settings = config(folder, **changes)
    if not start_experiment(settings, {"data": "x"}):
        return False
    net = net or Net()
    trainer = Trainer(net, settings)
    trainer.fit(lambda batch: (net.layer(batch).square().mean(), {}), lambda epoch: [torch.ones(4, 2)] * 2, 2)
    finish_experiment(settings)
    return True


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A training that was stopped after its last checkpoint."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("exp") / "x"
    train(folder)
    (folder / "done").unlink()
    return folder


def copy_of(stopped, folder):
    """A copy of the training, as if it had been made in another folder."""
    shutil.copytree(stopped, folder)
    path = folder / "config.yaml"
    path.write_text(path.read_text().replace(f"exp_dir: {stopped}", f"exp_dir: {folder}"))
    return folder


ODD = (st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3)
       | st.lists(st.integers(0, 3) | st.none(), max_size=3)
       | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2))  # fmt: skip


def test_a_stopped_training_resumes(stopped, tmp_path):
    folder = copy_of(stopped, tmp_path / "x")
    assert train(folder) and not train(folder)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_training_resumes_from_an_altered_checkpoint_or_refuses_it(stopped, tmp_path_factory, data):
    folder = copy_of(stopped, tmp_path_factory.mktemp("x") / "x")
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    place = state
    for _ in range(data.draw(st.integers(0, 4))):
        inner = [value for value in (place.values() if isinstance(place, dict) else place)
                 if isinstance(value, dict | list) and value]  # fmt: skip
        if not inner:
            break
        place = data.draw(st.sampled_from(inner))
    keys = list(place) if isinstance(place, dict) else list(range(len(place)))
    key = data.draw(st.sampled_from(keys))
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(ODD | st.just(torch.zeros(5)) | st.just(torch.full((3, 2), float("nan"))))
    write_torch(folder / "checkpoint.pt", state)
    try:
        train(folder)
    except InputError as error:
        assert str(folder) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("name", ["made_from.json", "config.yaml", "checkpoint.pt"])
@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"{}", b"\xff\xfe\x00", b'{"inputs": 3}', b'{"inputs": NaN}', b"x: [", None, "fifo",
    b"version https://git-lfs.github.com/spec/v1\n",
])  # fmt: skip
def test_a_file_that_is_damaged_is_named(stopped, tmp_path, name, content):
    folder = copy_of(stopped, tmp_path / "x")
    (folder / name).unlink()
    if content == "fifo":
        os.mkfifo(folder / name)
    elif content is not None:
        (folder / name).write_bytes(content)
    elif name != "made_from.json":
        return  # without a checkpoint or a configuration, training starts over
    with pytest.raises(InputError, match=re.escape(str(folder))):
        train(folder)


def test_a_training_without_a_checkpoint_may_start_over_with_other_options(stopped, tmp_path):
    folder = copy_of(stopped, tmp_path / "x")
    (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("seed: 0", "seed: 1"))
    with pytest.raises(InputError, match="seed"):
        train(folder)
    (folder / "checkpoint.pt").unlink()
    assert train(folder)


@pytest.mark.parametrize("net", [Net(4), torch.nn.Linear(2, 3)])
def test_another_network_does_not_resume_from_the_checkpoint(stopped, tmp_path, net):
    folder = copy_of(stopped, tmp_path / "x")
    with pytest.raises(InputError, match=r"checkpoint\.pt"):
        Trainer(net, config(folder)).fit(lambda batch: None, lambda epoch: [], 2)


def test_another_optimiser_does_not_resume_from_the_checkpoint(stopped, tmp_path):
    folder = copy_of(stopped, tmp_path / "x")
    settings = config(folder)
    settings.optimizer.name = "sgd"
    with pytest.raises(InputError, match=r"optimizer\.name"):
        start_experiment(settings, {"data": "x"})


def test_a_damaged_history_is_rewritten(stopped, tmp_path):
    folder = copy_of(stopped, tmp_path / "x")
    before = (folder / "history.jsonl").read_text()
    (folder / "history.jsonl").write_bytes(b"\xff{")
    assert train(folder)
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    assert [record["epoch"] for record in state["history"]] == [1, 2, 3] and before


def test_weights_of_different_networks_are_not_averaged(stopped, tmp_path):
    folder = copy_of(stopped, tmp_path / "x")
    with pytest.raises(InputError, match="epochs"):
        final_weights(folder, "average")
    for epoch, width in ((1, 3), (2, 4)):
        write_torch(folder / "epochs" / f"{epoch:04d}.pt", {"model": Net(width).state_dict()})
    with pytest.raises(InputError, match=r"0002\.pt"):
        final_weights(folder, "average")


def test_weights_of_an_unfinished_training_are_not_used(stopped):
    with pytest.raises(InputError, match=re.escape(str(stopped))):
        load_weights(stopped)


@pytest.mark.parametrize("content", [{"std": [0, 1]}, {"mean": [1]}, {"weight": ["x", 1]}, {"measures": ["a", "b"]},
                                  {"weight": [float("nan"), 1]}, {"std": None}])  # fmt: skip
def test_an_invalid_face_pool_is_refused(tmp_path, content):
    save_face_pool(tmp_path, FacePool((0.0, 0.0), (1.0, 1.0), (0.5, 0.5)))
    path = tmp_path / "face_pool.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **content}))
    with pytest.raises(InputError, match=re.escape(str(path))):
        load_face_pool(tmp_path)


@pytest.mark.parametrize(("error", "words"), [
    (RuntimeError("DataLoader worker (pid 9) is killed by signal: Bus error. It is possible that dataloader's workers "
                  "are out of shared memory."), "/dev/shm"),
    (RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)"), "/dev/shm"),
    (OSError(28, "No space left on device"), "/dev/shm"),
    (RuntimeError("unable to open shared memory object </torch_9> in read-write mode"), "/dev/shm"),
    (RuntimeError("DataLoader worker (pid(s) 9) exited unexpectedly"), "killed"),
    (RuntimeError("DataLoader worker (pid 9) is killed by signal: Killed. "), "killed"),
    (InputError('Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  '
               "File \navsv.errors.InputError: a.wav: cannot be read\n"), "^a.wav: cannot be read$"),
])  # fmt: skip
def test_the_failure_of_a_worker_is_reported_in_one_line(error, words):
    class Loader:
        def __iter__(self):
            yield 1
            raise error

    batches = iter(Batches(Loader(), 2))
    assert next(batches) == 1
    with pytest.raises(InputError, match=words) as refused:
        next(batches)
    assert "\n" not in str(refused.value)
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):  # from the training process itself, not a worker: a bug of ours
            list(Batches(Loader(), 0))
