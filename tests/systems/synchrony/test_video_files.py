"""avsv synchrony offset and active-speaker on small videos, with a fake network of darkness and loudness."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.systems.synchrony.offsets import ClipVectors
from tests.systems.synchrony.talking import Detector, talk, voice, write_talk

N = 75
TIMES = np.arange(N) / 25


class Embedder:
    """Vectors of five frames: darkness of each mouth, loudness of the audio; both with mean 0 and deviation 1."""

    step = 0.04
    net = SimpleNamespace(threshold=1.0, seconds=0.2)

    def embed(self, mouths, audio):
        dark = (mouths.at_rate(25)[:, 10:55, 25:75] < 60).mean((1, 2))
        loud = np.sqrt(np.square(audio[: len(audio) // 640 * 640].reshape(-1, 640)).mean(1))
        if min(len(dark), len(loud)) < 5:
            raise InputError("shorter than the 0.2 s that are compared at a time")
        windows = [np.lib.stride_tricks.sliding_window_view((v - v.mean()) / (v.std() + 1e-6), 5) for v in (dark, loud)]
        first = round(mouths.times[0] * 25)
        return ClipVectors(windows[0], windows[1], 0.04, 0.04, first, len(windows[0]))


@pytest.fixture
def call(avsv, tmp_path, monkeypatch):
    monkeypatch.setattr("avsv.systems.synchrony.embedding.make_synchrony_embedder", lambda *_: Embedder())
    monkeypatch.setattr("avsv.features.face_pack.load_pack", lambda *_, **__: SimpleNamespace(detection=Detector()))

    def run(verb, *argv):
        return avsv("synchrony", verb, "--model", "m", "--face", "f", *argv)

    return run


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def shifted(audio, frames):
    silence = np.zeros(640 * abs(frames), np.float32)
    return np.concatenate([silence, audio]) if frames > 0 else np.concatenate([audio[-640 * frames :], silence])


@pytest.mark.parametrize("frames, words", [(0, "in sync"), (-2, "leads by 80 ms"), (10, "lags by 400 ms")])
def test_the_offset_is_printed_in_words(call, tmp_path, rng, frames, words):
    opening = talk(rng, N)
    write_talk(tmp_path / "a.mp4", opening[:, None], TIMES, shifted(voice(opening, rng), frames))
    status, text = call("offset", tmp_path / "a.mp4")
    assert status == 0 and words in text and "confidence" in text and "does not belong" not in text


@pytest.mark.parametrize("fps", [24, 30, 50])
def test_the_offset_does_not_depend_on_the_frame_rate(call, tmp_path, rng, fps):
    opening = talk(rng, N)
    times = np.arange(3 * fps) / fps
    frames = opening[np.minimum(((times + 0.5 / fps) * 25).astype(int), N - 1)]  # as at the midpoint of the frame
    write_talk(tmp_path / "a.mp4", frames[:, None], times, shifted(voice(opening, rng), 3))
    assert "lags by 120 ms" in call("offset", tmp_path / "a.mp4")[1]


def test_the_offset_does_not_depend_on_uneven_frame_times_or_rotation(call, tmp_path, rng):
    opening = talk(rng, N)
    kept = np.sort(rng.choice(N, 60, replace=False))
    kept[0] = 0
    write_talk(tmp_path / "a.mp4", opening[kept][:, None], TIMES[kept], voice(opening, rng))
    assert "in sync" in call("offset", tmp_path / "a.mp4")[1]
    write_talk(tmp_path / "b.mp4", opening[:, None], TIMES, shifted(voice(opening, rng), -3), turned=True)
    assert "leads by 120 ms" in call("offset", tmp_path / "b.mp4")[1]


def test_replaced_audio_is_flagged(call, tmp_path, rng):
    write_talk(tmp_path / "a.mp4", talk(rng, N)[:, None], TIMES, voice(talk(rng, N), rng))
    assert "confidence below 1.00" in call("offset", tmp_path / "a.mp4")[1]


def test_the_table_has_the_distance_at_every_offset(call, tmp_path, rng):
    opening = talk(rng, N)
    write_talk(tmp_path / "a.mp4", opening[:, None], TIMES, voice(opening, rng))
    rows = [
        line.split() for line in call("offset", "--table", "--largest", "0.2", tmp_path / "a.mp4")[1].splitlines()[-11:]
    ]
    assert [int(row[0]) for row in rows] == list(range(-200, 201, 40))
    assert min(rows, key=lambda row: float(row[1]))[0] == "0"


@pytest.mark.parametrize("verb", ["offset", "active-speaker"])
def test_videos_that_cannot_be_judged_are_refused_by_name(call, tmp_path, rng, verb):
    opening = talk(rng, N)
    audio = voice(opening, rng)
    write_talk(tmp_path / "faceless.mp4", [[None]] * N, TIMES, audio)
    write_talk(tmp_path / "silent.mp4", opening[:, None], TIMES)
    write_talk(tmp_path / "short.mp4", opening[:10, None], TIMES[:10], audio[:1280])
    for name in ("faceless", "silent", "short", "absent"):
        status, text = call(verb, tmp_path / f"{name}.mp4")
        assert status == 1 and f"{name}.mp4" in text, (name, text)


@pytest.mark.parametrize("speaker", [0, 1])
def test_of_two_faces_the_one_with_the_matching_voice_is_the_speaker(call, tmp_path, rng, speaker):
    openings = np.stack([talk(rng, N), talk(rng, N)], 1)
    write_talk(tmp_path / "two.mp4", openings, TIMES, voice(openings[:, speaker], rng))
    status, text = call("active-speaker", "--table", tmp_path / "t", "--json", tmp_path / "j", tmp_path / "two.mp4")
    assert status == 0 and "2 faces" in text
    left, top, right, bottom = map(int, (tmp_path / "t").read_text().split()[1:])
    assert left < 80 + 160 * speaker < right and top < 80 < bottom
    (record,) = json.loads((tmp_path / "j").read_text())
    assert record["faces"][record["speaker"]]["speaks_s"] > 2 and len(record["faces"][0]["scores"]) > 60


def test_a_still_mouth_is_never_the_speaker(call, tmp_path, rng):
    opening = talk(rng, N)
    still = np.full(N, 0.4)
    write_talk(tmp_path / "a.mp4", np.stack([still, opening], 1), TIMES, voice(opening, rng))
    write_talk(tmp_path / "b.mp4", still[:, None], TIMES, voice(opening, rng))
    status, text = call("active-speaker", tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert status == 0 and "mouth moves 0.0 s" in text and "no face is speaking" in text


def test_of_several_files_the_bad_one_is_skipped_and_named(call, tmp_path, rng):
    opening = talk(rng, N)
    write_talk(tmp_path / "a.mp4", opening[:, None], TIMES, voice(opening, rng))
    status, text = call("active-speaker", tmp_path / "a.mp4", tmp_path / "absent.mp4")
    assert status == 0 and "absent.mp4" in text and "1 of 2 files" in text
