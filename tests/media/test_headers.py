"""Wrong headers, truncated files and misleading names: the files that are read and those that are refused."""

import io
import logging
import struct

import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.media.waveforms import audio_duration, read_part, read_waveform
from tests.media.gaps import audio_container
from tests.media.hostile import patch, speech

WAVEFORM = np.round(speech(2) * 2**15).clip(-(2**15), 2**15 - 1).astype(np.float32) / 2**15


def encoded(form, subtype=None, waveform=WAVEFORM):
    out = io.BytesIO()
    soundfile.write(out, waveform, 16000, format=form, subtype=subtype)
    return out.getvalue()


def place_of(data, name):
    return data.index(name) + len(name)


SIZE = len(WAVEFORM) * 2


@pytest.mark.parametrize("size", [0, SIZE + 2, SIZE + 44, SIZE + 1, 0x7FFFF000, 0x7FFFF000 // 6 * 6, 0x7FFFFFFF,
                                  0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 36])  # fmt: skip
@pytest.mark.parametrize("riff", ["right", 0, 0xFFFFFFFF])
def test_a_wav_file_is_read_to_its_end_whatever_size_its_header_declares(tmp_path, size, riff):
    data = encoded("WAV")
    data = patch(data, place_of(data, b"data"), "<I", size)
    if riff != "right":
        data = patch(data, 4, "<I", riff)
    (tmp_path / "a.wav").write_bytes(data)
    np.testing.assert_array_equal(read_waveform(str(tmp_path / "a.wav")), WAVEFORM)
    assert audio_duration(str(tmp_path / "a.wav")) == 2
    np.testing.assert_array_equal(read_part(str(tmp_path / "a.wav"), 1, 800), WAVEFORM[-800:])


@pytest.mark.parametrize(("subtype", "n_channels"), [("PCM_24", 1), ("PCM_16", 6), ("FLOAT", 2), ("ULAW", 1)])
def test_a_wav_piped_by_sox_with_its_rounded_size_is_read_whole(tmp_path, subtype, n_channels):
    data = encoded("WAV", subtype, np.stack([WAVEFORM] * n_channels, 1))
    width = {"PCM_24": 3, "PCM_16": 2, "FLOAT": 4, "ULAW": 1}[subtype] * n_channels
    data = patch(data, place_of(data, b"data"), "<I", 0x7FFFF000 // width * width)
    (tmp_path / "a.wav").write_bytes(data)
    assert len(read_waveform(str(tmp_path / "a.wav"))) == len(WAVEFORM)
    assert len(read_waveform(f"cat {tmp_path}/a.wav |", allow_pipes=True)) == len(WAVEFORM)


@pytest.mark.parametrize("sizes", [(0, 0, 0), (2**64 - 1, 2**64 - 1, 2**64 - 1), (0, SIZE + 44, 0)])
def test_a_streamed_rf64_file_is_read_to_its_end(tmp_path, sizes):
    data = encoded("RF64")
    for number, size in enumerate(sizes):
        data = patch(data, place_of(data, b"ds64") + 4 + 8 * number, "<Q", size)
    (tmp_path / "a.wav").write_bytes(data)
    np.testing.assert_array_equal(read_waveform(str(tmp_path / "a.wav")), WAVEFORM)


def test_other_formats_without_a_size_are_read_to_their_end(tmp_path):
    au, caf, aiff, w64 = (encoded(form) for form in ("AU", "CAF", "AIFF", "W64"))
    comm = place_of(aiff, b"COMM") + 4
    files = {
        "a.au": patch(au, 8, ">I", 0xFFFFFFFF),
        "b.au": patch(au, 8, ">I", 0),
        "c.caf": patch(caf, place_of(caf, b"data"), ">q", -1),
        "d.aiff": patch(patch(aiff, place_of(aiff, b"SSND"), ">I", 0), comm + 2, ">I", 0),
        "e.w64": patch(w64, w64.index(b"data") + 16, "<Q", 24),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(read_waveform(str(tmp_path / name)), WAVEFORM, err_msg=name)


def test_a_wrong_size_is_logged_with_the_file(tmp_path, caplog):
    data = encoded("WAV")
    with caplog.at_level(logging.WARNING, "avsv"):
        for size, n in ((SIZE, 0), (0xFFFFFFFF, 0), (0, 1), (SIZE + 44, 1)):
            caplog.clear()
            (tmp_path / "a.wav").write_bytes(patch(data, place_of(data, b"data"), "<I", size))
            read_waveform(str(tmp_path / "a.wav"))
            assert [str(tmp_path / "a.wav") in message for message in caplog.messages] == [True] * n


def test_an_empty_wav_file_is_refused(tmp_path):
    empty = encoded("WAV", waveform=WAVEFORM[:0])
    for name, tail in (("a.wav", b""), ("b.wav", b"LIST" + struct.pack("<I", 8) + b"INFOabcd")):
        (tmp_path / name).write_bytes(empty + tail)
        with pytest.raises(InputError, match=name):
            read_waveform(str(tmp_path / name))


FORMS = {"wav": ("WAV", None), "rf64": ("RF64", None), "w64": ("W64", None), "aiff": ("AIFF", None), "au": ("AU", None),
         "caf": ("CAF", None), "sph": ("NIST", None), "flac": ("FLAC", None), "ogg": ("OGG", "VORBIS"),
         "opus": ("OGG", "OPUS"), "mp3": ("MP3", None)}  # fmt: skip
CONTAINERS = ("mp4", "mkv", "webm", "avi", "flv", "mka", "m4a", "wv", "tta", "faststart.mp4", "fragmented.mp4")


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    files = {form: encoded(*how, waveform=speech(6)) for form, how in FORMS.items()}
    for name in CONTAINERS:
        files[name] = audio_container(folder / f"a.{name}", speech(6)).read_bytes()
    return files


@pytest.mark.parametrize("share", [0.35, 0.6, 0.93])
@pytest.mark.parametrize("form", [*FORMS, *CONTAINERS])
def test_truncated_files_are_refused_and_complete_ones_read(tmp_path, whole_files, form, share):
    path = tmp_path / f"a.{form}"
    path.write_bytes(whole_files[form])
    assert len(read_waveform(str(path))) == pytest.approx(6 * 16000, abs=2500)
    path.write_bytes(whole_files[form][: round(share * len(whole_files[form]))])
    with pytest.raises(InputError, match=str(path)):
        read_waveform(str(path))


@pytest.mark.parametrize("name", ["a.wav", "a.mp4", "a.ogg", "a.mp3", "a", "a.txt"])
@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "m4a", "opus", "sph", "mkv", "aiff", "wv"])
def test_the_format_is_detected_from_the_content_not_the_name(tmp_path, whole_files, form, name):
    right, wrong = tmp_path / f"right.{form}", tmp_path / name
    right.write_bytes(whole_files[form])
    wrong.write_bytes(whole_files[form])
    np.testing.assert_array_equal(read_waveform(str(wrong)), read_waveform(str(right)))
    assert audio_duration(str(wrong)) == audio_duration(str(right)) == pytest.approx(6, abs=0.2)
    np.testing.assert_array_equal(read_part(str(wrong), 0.5, 800), read_part(str(right), 0.5, 800))
    np.testing.assert_array_equal(read_waveform(f"cat {wrong} |", allow_pipes=True), read_waveform(str(right)))


def without_xing(mp3):
    """The frames after the first one, which holds the Xing header and no audio."""
    return mp3[mp3.index(mp3[:2], max(mp3.find(b"Xing"), mp3.find(b"Info"))) :]


def mp3_in_wav(mp3):
    about = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 4000, 1, 0, 12, 1, 2, 144, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(about)) + about + b"data" + struct.pack("<I", len(mp3)) + mp3
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("tag", [b"", b"ID3\x03\x00\x00\x00\x00\x00\x0a" + bytes(10)])
def test_mp3_without_a_xing_header_or_inside_wav_is_read_whole(tmp_path, tag):
    times = np.arange(96000) / 16000  # a rising pitch reveals any missing part
    mp3 = encoded("MP3", waveform=(0.4 * np.sin(2 * np.pi * (200 + 100 * times) * times)).astype(np.float32))
    (tmp_path / "xing.mp3").write_bytes(tag + mp3)
    (tmp_path / "plain.mp3").write_bytes(tag + without_xing(mp3))
    (tmp_path / "wrapped.wav").write_bytes(mp3_in_wav(mp3))
    (tmp_path / "both.wav").write_bytes(mp3_in_wav(without_xing(mp3)))
    right = read_waveform(str(tmp_path / "xing.mp3"))
    assert len(right) == 96000
    np.testing.assert_array_equal(read_waveform(str(tmp_path / "wrapped.wav")), right)
    for name in ("plain.mp3", "both.wav"):  # the length of the priming is unknown
        result = read_waveform(str(tmp_path / name))
        assert 96000 <= len(result) <= 96000 + 4 * 1152
        shift = np.correlate(result[40000:48000], right[42000:44000], "valid").argmax() - 2000
        assert 0 <= shift <= 2 * 1152
        assert np.corrcoef(result[40000 + 2000 + shift :][:2000], right[42000:44000])[0, 1] > 0.99


def test_shorten_compressed_sphere_and_unknown_formats_are_refused(tmp_path):
    fields = b"sample_count -i 32000\nsample_n_bytes -i 2\nchannel_count -i 1\nsample_rate -i 16000\n"
    sphere = b"NIST_1A\n   1024\n" + fields + b"sample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n"
    (tmp_path / "a.sph").write_bytes(sphere.ljust(1024) + b"ajkg" + bytes(range(256)) * 100)
    (tmp_path / "b.voc").write_bytes(encoded("VOC"))
    for name in ("a.sph", "b.voc"):
        with pytest.raises(InputError, match=name):
            read_waveform(str(tmp_path / name))


@pytest.mark.parametrize("subtype", ["G721_32", "NMS_ADPCM_32", "MS_ADPCM", "IMA_ADPCM"])
def test_rare_wav_codecs_are_decoded(tmp_path, subtype):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    soundfile.write(tmp_path / "a.wav", tone, 16000, subtype=subtype)
    waveform = read_waveform(str(tmp_path / "a.wav"))[:16000]
    assert np.corrcoef(waveform, tone)[0, 1] > 0.99
