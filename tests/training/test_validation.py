import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_curve

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.training.config import TrainingConfig
from avsv.training.validation import choose_clips, held_out_eer, pairs_eer, read_held_out


@pytest.fixture
def held_out(tmp_path):
    """Four people, five clips each; the entry of a clip is a vector near its person's mean."""
    rng = np.random.default_rng(0)
    people, utts = rng.normal(size=(4, 6)), [f"p{p}-{c}" for p in range(4) for c in range(5)]
    (tmp_path / "utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt in utts))
    (tmp_path / "wav.scp").write_text("".join(f"{utt} {utt}.wav\n" for utt in utts))
    entries = {utt: torch.from_numpy(people[int(utt[1])] + 2 * rng.normal(size=6)) for utt in utts}
    return TrainingConfig(task="t", exp_dir="e", data_dir="d", valid_dir=str(tmp_path)), entries


def test_the_eer_agrees_with_loops_and_scikit_learn(held_out):
    config, entries = held_out
    data = read_held_out(config, {"q"})
    validate = held_out_eer(config, data, entries, lambda vector: (vector, 0), lambda model, batch: model(batch[0]))
    found = validate(torch.nn.Identity())["eer_percent"]
    scores, labels = [], []
    for one, other in itertools.combinations(sorted(entries), 2):
        scores.append(torch.nn.functional.cosine_similarity(entries[one], entries[other], dim=0).item())
        labels.append(one[:2] == other[:2])
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    crossing = np.argmin(np.abs(fpr - (1 - tpr)))
    assert 5 < found < 45
    assert found == pytest.approx(50 * (fpr[crossing] + 1 - tpr[crossing]), abs=2.0)
    assert found == pairs_eer(
        torch.stack([entries[u] for u in sorted(entries)]).numpy(), [u[:2] for u in sorted(entries)]
    )


def test_people_of_the_training_set_are_refused(held_out):
    config, _ = held_out
    with pytest.raises(InputError, match=r"2 of its people .* p1"):
        read_held_out(config, {"p3", "p1", "q"})


def test_without_valid_dir_there_is_no_validation(held_out):
    config, _ = held_out
    config.valid_dir = ""
    assert read_held_out(config, {"q"}) is None


def test_clips_that_cannot_be_read_are_named_and_left_out(held_out, caplog):
    config, entries = held_out

    def read(vector):
        if vector is entries["p0-0"]:
            raise InputError("p0-0 is broken")
        return vector

    held_out_eer(config, read_data_dir(config.valid_dir), entries, read, lambda model, batch: batch)
    assert "left out: p0-0 is broken" in caplog.text


def test_clips_without_any_pair_are_refused(held_out):
    config, entries = held_out
    config.valid_clips = 4
    with pytest.raises(InputError, match="4 clips of 4 people make no pairs"):
        held_out_eer(config, read_data_dir(config.valid_dir), entries, lambda v: v, None)


def test_the_choice_of_clips_is_repeatable_and_spread_over_people():
    utt2spk = {f"{p}{c}": p for p, n in (("a", 9), ("b", 2), ("c", 5)) for c in range(n)}
    chosen = choose_clips(utt2spk, 6)
    assert chosen == choose_clips(dict(reversed(utt2spk.items())), 6) and chosen == sorted(chosen)
    assert [sum(utt.startswith(p) for utt in chosen) for p in "abc"] == [2, 2, 2]
    assert choose_clips(utt2spk, 100) == sorted(utt2spk)
