"""The mini corpus: complete, reproducible, in the layout of VoxCeleb2, with mouths that follow the audio."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

COMMAND = Path(__file__).resolve().parents[3] / "egs" / "mini" / "local" / "make_corpus.py"
SMALL = ("--people", "4", "--clips", "2", "--seed", "3")


def make_corpus(*args: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, COMMAND, *map(str, args)], capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("mini") / "corpus"
    done = make_corpus(out, *SMALL, "--jobs", 2)
    assert done.returncode == 0, done.stderr
    return out


def clips(corpus: Path) -> list[Path]:
    return sorted(corpus.glob("*/mp4/*/*/*.mp4"))


def rows(clip: Path) -> np.ndarray:
    """Frame numbers, boxes and key points of a clip."""
    text = Path(str(clip).replace("/mp4/", "/txt/")).with_suffix(".txt")
    return np.loadtxt(text, skiprows=1, ndmin=2)


def decoded(clip: Path) -> tuple[np.ndarray, np.ndarray]:
    with av.open(str(clip)) as film:
        images = np.stack([frame.to_ndarray(format="gray") for frame in film.decode(video=0)])
    with av.open(str(clip)) as film:
        waveform = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
    return images, waveform


def lists(corpus: Path) -> tuple[dict[str, str], dict[str, str], list[list[str]]]:
    lines = (corpus / "vox2_meta.csv").read_text().splitlines()[1:]
    table = [[field.strip() for field in line.split(",")] for line in lines]
    trials = [line.split() for line in (corpus / "test" / "veri_test2.txt").read_text().splitlines()]
    return {r[0]: r[2] for r in table}, {r[0]: r[3] for r in table}, trials


def test_files_are_the_same_with_any_number_of_jobs(corpus, tmp_path):
    done = make_corpus(tmp_path / "again", *SMALL, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    once, again = ({p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
                   for root in (corpus, tmp_path / "again"))  # fmt: skip
    assert once.keys() == again.keys()
    assert [name for name in once if once[name] != again[name]] == []


def test_the_layout_agrees_with_voxceleb2_musan_and_rirs(corpus):
    _, part, _ = lists(corpus)
    part_of_person = {clip.parts[-3]: clip.parts[-5] for clip in clips(corpus)}
    assert part_of_person == part and sorted(part.values()) == ["dev", "dev", "test", "test"]
    assert len(clips(corpus)) == 8
    assert all(len(clip.parent.name) == 11 and clip.name == "00001.mp4" for clip in clips(corpus))
    for kind, source in (("noise", "free-sound"), ("music", "fma"), ("speech", "librivox")):
        assert len(list((corpus / "musan" / kind / source).glob(f"{kind}-{source}-*.wav"))) == 16
    assert len(list(corpus.glob("RIRS_NOISES/simulated_rirs/*room/Room001/Room001-0000?.wav"))) == 16
    assert not list(corpus.parent.glob(".*.part"))


def test_the_meta_file_has_the_published_format_and_balanced_genders(corpus):
    assert (corpus / "vox2_meta.csv").read_text().startswith("VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \nid")
    gender, part, _ = lists(corpus)
    for which in ("dev", "test"):
        assert sorted(gender[name] for name in gender if part[name] == which) == ["f", "m"]


def test_streams_are_h264_at_25_and_aac_at_16000(corpus):
    for clip in clips(corpus):
        with av.open(str(clip)) as film:
            video, audio = film.streams.video[0].codec_context, film.streams.audio[0].codec_context
            assert (video.name, video.pix_fmt, video.width, video.height) == ("h264", "yuv420p", 160, 160)
            assert film.streams.video[0].average_rate == 25
            assert (audio.name, audio.sample_rate, audio.layout.name) == ("aac", 16000, "mono")


def test_audio_and_video_of_clips_last_two_to_four_seconds(corpus):
    for clip in clips(corpus):
        images, waveform = decoded(clip)
        assert 2 <= len(images) / 25 <= 4
        assert len(waveform) / 16000 == pytest.approx(len(images) / 25, abs=0.1)
        assert len(rows(clip)) == len(images)
        assert 0.005 < waveform.std() < 0.3


def test_key_points_lie_in_the_box_and_the_box_in_the_image(corpus):
    for clip in clips(corpus):
        frame, x, y, wide, high = rows(clip)[:, :5].T
        points = rows(clip)[:, 5:].reshape(-1, 5, 2)
        assert (frame == np.arange(len(frame))).all()
        assert (x >= 0).all() and (y >= 0).all() and (x + wide <= 160).all() and (y + high <= 160).all()
        assert (wide > 50).all() and (high > 60).all()
        for axis, low, size in ((0, x, wide), (1, y, high)):
            assert (points[..., axis] > low[:, None]).all() and (points[..., axis] < (low + size)[:, None]).all()
        left_eye, right_eye, nose, left_mouth, right_mouth = points.swapaxes(0, 1)
        assert (left_eye[:, 0] < right_eye[:, 0]).all() and (left_mouth[:, 0] < right_mouth[:, 0]).all()
        assert (nose[:, 1] > left_eye[:, 1]).all() and (nose[:, 1] < left_mouth[:, 1]).all()


def test_mouths_open_with_the_audio(corpus):
    together = []
    for clip in clips(corpus):
        images, waveform = decoded(clip)
        loud = np.array([np.sqrt((part**2).mean()) for part in np.array_split(waveform, len(images))])
        patches = []
        for image, points in zip(images, rows(clip)[:, 5:].reshape(-1, 5, 2), strict=True):
            x, y = points[3:].mean(axis=0).astype(int)
            patches.append(image[y - 3 : y + 12, x - 7 : x + 8].astype(float))
        shut = np.mean([p for p, level in zip(patches, loud, strict=True) if level < np.percentile(loud, 15)], axis=0)
        change = [np.abs(patch - shut).mean() for patch in patches]
        together.append(np.corrcoef(change, loud)[0, 1])
    assert np.mean(together) > 0.5


def test_trials_compare_test_people_across_sessions(corpus):
    _, part, trials = lists(corpus)
    assert len({frozenset(t[1:]) for t in trials}) == len(trials)
    assert sum(t[0] == "1" for t in trials) == 2 and sum(t[0] == "0" for t in trials) > 2
    for label, a, b in trials:
        assert (corpus / "test" / "mp4" / a).is_file() and (corpus / "test" / "mp4" / b).is_file()
        (person, session, _), (other, other_session, _) = a.split("/"), b.split("/")
        assert (label == "1") == (person == other) and session != other_session
        assert part[person] == part[other] == "test"


def test_noises_are_16000_hz_mono_and_audible(corpus):
    for path in [*corpus.glob("musan/*/*/*.wav"), *corpus.glob("RIRS_NOISES/*/*/*/*.wav")]:
        waveform, rate = soundfile.read(path)
        assert rate == 16000 and waveform.ndim == 1 and np.abs(waveform).max() > 0.3, path
        assert 8 <= len(waveform) / rate <= 15 or "RIRS" in str(path)


def test_a_complete_corpus_is_left_alone(corpus):
    before = os.stat(corpus / "corpus.json")
    done = make_corpus(corpus, *SMALL)
    after = os.stat(corpus / "corpus.json")
    assert (done.returncode, done.stderr) == (0, "") and "nothing to do" in done.stdout
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)  # it may have been read
    assert json.loads((corpus / "corpus.json").read_text())["seed"] == 3


@pytest.mark.parametrize("args", [
    ("--people", 3), ("--clips", 1), ("--seed", -1), ("--jobs", 0), ("--people", 8), ("--show-traits", 9),
    ("--show-traits", 2),
])  # fmt: skip
def test_a_user_error_is_one_line_and_exit_status_1(corpus, args):
    done = make_corpus(corpus, *SMALL, *args)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("make_corpus.py: ")


def test_show_traits_2_only_doubles_the_difference_between_the_genders_faces():
    script = """
import json
from faces import draw_face
from people import Traits, random_stream
faces = [draw_face(Traits(gender, 42.0, 0.0), random_stream(0, "face", 0), show) for show in (1, 2) for gender in "mf"]
print(json.dumps([[face.shape["jaw"], face.shape["iris"], face.front, face.texture_seed] for face in faces]))
"""
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, cwd=COMMAND.parent, capture_output=True, text=True, check=True)
    man, woman, manly, womanly = json.loads(done.stdout)
    for column in (0, 1):
        assert manly[column] - womanly[column] == pytest.approx(2 * (man[column] - woman[column]))
        assert manly[column] + womanly[column] == pytest.approx(man[column] + woman[column])
    assert (manly[2:], womanly[2:]) == (man[2:], woman[2:])


def test_a_folder_with_other_files_is_not_touched(tmp_path):
    (tmp_path / "letters").write_text("dear")
    done = make_corpus(tmp_path, *SMALL)
    assert done.returncode == 1 and "remove it or choose another" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["letters"]
