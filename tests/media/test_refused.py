"""Playlists, FIFOs and devices with names of media files are refused at once by every reader, through the guard."""

import os
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest

from avsv.errors import InputError
from avsv.media.decoder_process import guarded, guarded_stream
from avsv.media.frames import video_frames
from avsv.media.images import count_frames, each_frame, read_frames
from avsv.media.waveforms import audio_duration, read_part, read_waveform
from avsv.systems.synchrony.mouths import find_mouths
from avsv.systems.synchrony.video_files import analyse_video
from tests.media.hostile import movie_bytes, speech

ROOT = Path(__file__).resolve().parents[2]
CALLS = [lambda p: guarded(read_frames, p, 1), lambda p: list(guarded_stream(each_frame, p, 1)),
         lambda p: guarded(count_frames, p), lambda p: list(guarded_stream(video_frames, p)),
         lambda p: guarded(read_waveform, p),
         lambda p: guarded(read_part, p, 0.5, 100), lambda p: guarded(audio_duration, p),
         lambda p: find_mouths(p, None), lambda p: analyse_video(p, None, None)]  # fmt: skip


@pytest.fixture
def places(tmp_path):
    """A real video, and files that refer to it or pretend to be media."""
    (tmp_path / "real.mp4").write_bytes(movie_bytes(speech(1), 5))
    real = tmp_path / "real.mp4"
    contents = {
        "concat.mp4": "ffconcat version 1.0\nfile real.mp4\n",
        "hls.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{real}\n#EXT-X-ENDLIST\n",
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{real}\n#EXT-X-ENDLIST\n",
        "dash.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
        "talk.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "text.mp4": "a text\n" * 90, "none.mp4": "",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    for name in ("pipe.mp4", "pipe.wav", "pipe.jpg", "pipe"):
        os.mkfifo(tmp_path / name)
    for name in ("zero.mp4", "zero.wav", "zero.png"):
        os.symlink("/dev/zero", tmp_path / name)
    (tmp_path / "folder.mp4").mkdir()
    return tmp_path


@pytest.mark.parametrize("call", range(len(CALLS)))
def test_files_that_are_not_media_are_refused_at_once(places, call):
    with av.open(str(places / "concat.mp4")) as container:  # ffmpeg alone would follow the playlist
        assert container.format.name == "concat"
    guarded(read_waveform, str(places / "real.mp4"))
    begin = time.monotonic()
    for path in sorted(places.iterdir()):
        if path.name != "real.mp4":
            with pytest.raises(InputError, match=path.name):
                CALLS[call](str(path))
    assert time.monotonic() - begin < 20


def test_the_preparation_of_voxceleb2_accepts_a_clip_with_a_tag_in_latin_1(tmp_path):
    movie = movie_bytes(speech(1.5), 5)
    (tmp_path / "a.mp4").write_bytes(movie)
    clip = tmp_path / "vox" / "dev" / "mp4" / "id00001" / "vid" / "00001.mp4"
    clip.parent.mkdir(parents=True)
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(clip), "w") as target:
        target.metadata["title"] = "XXcafeXX"
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    data = clip.read_bytes()
    assert b"XXcafeXX" in data
    clip.write_bytes(data.replace(b"XXcafeXX", b"XXcaf\xe9XX"))
    (tmp_path / "vox" / "vox2_meta.csv").write_text("VoxCeleb2 ID ,Gender \nid00001 ,m \n")
    script = ROOT / "egs/voxceleb/local/prepare_voxceleb2.py"
    subprocess.run(
        [sys.executable, str(script), "--jobs", "1", str(tmp_path / "vox"), str(tmp_path / "out")], check=True
    )
    name, seconds = (tmp_path / "out" / "utt2dur").read_text().split()
    assert name == "id00001-vid-00001" and abs(float(seconds) - 1.5) < 0.1
