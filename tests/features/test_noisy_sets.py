import json

import pytest

from avsv.features.noisy_sets import draw_damage, write_noisy_set
from avsv.kaldi.data_dir import check, read_data_dir, write_data_dir

NOISES = {sort: [f"{sort}{n}.wav" for n in range(4)] for sort in ("noise", "music", "speech", "rir")}


@pytest.fixture
def data(tmp_path):
    utts = [f"s{n:03d}-v-1" for n in range(1000)]
    write_data_dir(tmp_path / "clean", {
        "wav.scp": {utt: f"{utt}.wav" for utt in utts[:990]},
        "video.scp": {utt: f"{utt}.mp4" for utt in utts[10:]},
        "utt2spk": {utt: utt[:4] for utt in utts},
    })  # fmt: skip
    (tmp_path / "clean" / "trials").mkdir()
    (tmp_path / "clean" / "trials" / "list").write_text(f"{utts[0]} {utts[1]} nontarget\n")
    return read_data_dir(tmp_path / "clean")


def test_the_share_and_the_kinds_are_as_asked_for(data):
    damage = draw_damage(data, 0.6, NOISES, seed=0)
    assert 540 < len(damage) < 640
    kinds = [f"{what['modality']} {what['kind']}" for what in damage.values()]
    assert len(set(kinds)) == 10
    assert all(30 < kinds.count(kind) < 90 for kind in set(kinds))


def test_a_clip_with_one_modality_keeps_it(data):
    damage = draw_damage(data, 1.0, NOISES, seed=0)
    assert set(damage) == set(data.wav) & set(data.video)


def test_the_draw_depends_on_seed_and_clip_alone(data, tmp_path):
    damage = draw_damage(data, 0.6, NOISES, seed=0)
    assert damage == draw_damage(data, 0.6, NOISES, seed=0) != draw_damage(data, 0.6, NOISES, seed=1)
    few = {utt: path for utt, path in data.wav.items() if utt < "s500"}
    part = type(data)(data.path, data.utt2spk, few, data.video)
    assert draw_damage(part, 0.6, NOISES, seed=0) == {utt: what for utt, what in damage.items() if utt in few}


def test_the_set_has_the_same_clips_and_trials_and_marks_what_is_missing(data, tmp_path):
    damage = draw_damage(data, 0.6, NOISES, seed=0)
    write_noisy_set(data, tmp_path / "noisy", damage)
    noisy = read_data_dir(tmp_path / "noisy")
    assert noisy.utts == data.utts and check(tmp_path / "noisy") == []
    assert (tmp_path / "noisy/trials/list").read_bytes() == (tmp_path / "clean/trials/list").read_bytes()
    no_voice = {utt for utt, what in damage.items() if (what["modality"], what["kind"]) == ("voice", "missing")}
    assert data.wav.keys() - noisy.wav.keys() == no_voice
    states = noisy.table("utt2modality")
    assert all(states[utt] == "face" for utt in no_voice)
    assert json.loads(noisy.table("utt2damage")[next(iter(damage))]) == next(iter(damage.values()))
