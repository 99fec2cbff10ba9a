"""Training in rounds: shared by jobs, killed at any time, the same bytes."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.shards import Shard
from avsv.systems.speech.rounds import Rounds


def run(folder, number=1, total=3, key="k", n_rounds=3, slow=0.0, calls=None):
    """Sums of made-up floats, so that the order of addition shows; `out` gets the last model's bytes."""

    def part(round_number, model, one):
        time.sleep(slow)
        if calls is not None:
            calls.append((round_number, one))
        return {"x": model["x"] / 3 + 0.1 * one * np.pi}

    def finish(model):
        (folder / "out").write_bytes(model["x"].tobytes())

    Rounds(folder / "rounds", key, Shard(number, total), [folder / "out"]).run(
        n_rounds, lambda: {"x": np.full(4, 0.1)}, part, lambda _, model, sums: {"x": model["x"] + sums["x"]}, finish
    )


@pytest.fixture
def expected(tmp_path):
    folder = tmp_path / "expected"
    folder.mkdir()
    run(folder)
    return (folder / "out").read_bytes()


def test_a_job_alone_does_all_parts_and_leaves_no_files(tmp_path):
    calls = []
    run(tmp_path, number=2, calls=calls)
    assert calls == [(number, one) for number in range(3) for one in (2, 3, 1)]
    x = np.full(4, 0.1)
    for _ in range(3):
        x = x + sum(x / 3 + 0.1 * one * np.pi for one in (1, 2, 3))
    assert np.frombuffer((tmp_path / "out").read_bytes()) == pytest.approx(x)
    assert os.listdir(tmp_path / "rounds") == ["key.json"]
    run(tmp_path, calls=calls)  # finished: nothing to do
    assert len(calls) == 9


def test_jobs_share_the_parts_and_give_the_same_bytes(tmp_path, expected):
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=run, args=(tmp_path, number), kwargs={"slow": 0.02}) for number in (1, 2, 3)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    assert (tmp_path / "out").read_bytes() == expected and os.listdir(tmp_path / "rounds") == ["key.json"]


@pytest.mark.parametrize("after", [0.01, 0.04, 0.1, 0.17])
def test_a_killed_training_continues_to_the_same_bytes(tmp_path, expected, after):
    job = multiprocessing.get_context("fork").Process(target=run, args=(tmp_path,), kwargs={"slow": 0.02})
    job.start()
    time.sleep(after)
    os.kill(job.pid, signal.SIGKILL)
    job.join()
    done = len(list((tmp_path / "rounds").glob("model.*"))) if (tmp_path / "rounds").exists() else 0
    calls = []
    run(tmp_path, calls=calls)
    assert (tmp_path / "out").read_bytes() == expected
    assert len(calls) < 9 or not done or (0, 1) in calls


def test_another_training_or_a_lost_output_starts_anew(tmp_path, expected):
    calls = []
    run(tmp_path, key="other", n_rounds=1, calls=calls)
    assert len(calls) == 3
    run(tmp_path, calls=calls)
    assert len(calls) == 12 and (tmp_path / "out").read_bytes() == expected
    (tmp_path / "out").unlink()
    run(tmp_path, calls=calls)
    assert len(calls) == 21 and (tmp_path / "out").read_bytes() == expected


def test_a_training_of_another_kind_in_the_same_folder_is_noticed(tmp_path):
    def meddle(round_number, model, one):
        (tmp_path / "rounds" / "key.json").write_text('{"key": "theirs", "finished": false}')
        for file in (tmp_path / "rounds").glob("*.npz"):
            file.unlink()
        return model

    rounds = Rounds(tmp_path / "rounds", "k", Shard(), [tmp_path / "out"])
    with pytest.raises(InputError, match="rounds"):
        rounds.run(2, lambda: {"x": np.zeros(1)}, meddle, lambda _, model, sums: model, lambda model: None)


def test_a_damaged_part_is_an_error_that_names_it(tmp_path):
    rounds = Rounds(tmp_path / "rounds", "k", Shard(), [tmp_path / "out"])

    def part(round_number, model, one):
        (tmp_path / "rounds" / "model.0.npz").write_bytes(b"junk")
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        rounds.run(2, lambda: {"x": np.zeros(1)}, part, lambda _, model, sums: model, lambda model: None)
    with pytest.raises(InputError, match=r"model\.0\.npz"):
        rounds.run(2, lambda: {"x": np.zeros(1)}, part, lambda _, model, sums: model, lambda model: None)
