"""Over 300 damaged files go through stages 1, 3 and 4: no job dies or hangs, every file is embedded or reported.

The commands run as processes to measure their memory; tests/media/hostile.py writes the files.
"""

import os
import subprocess
import sys
import tempfile
import time

import kaldiio
import pytest

from avsv.kaldi.tables import read_table, write_table
from tests.media.hostile import write_hostile, write_odd

MOST_MIB = 2048  # limit for a job and its decoder together, stated in the README.md of the tests
AUDIO, IMAGES = (".wav", ".flac", ".m4a", ".mp4"), (".mp4", ".jpg", ".m4a")
# files that no decoder can read; flipped bits may go either way
NEVER = """short-0 short-1 short-3 short-11 short-43 cut- is-text is-zip is-zeros is-noise is-program no-streams
    size-65500 size-12000 size-flat channels-zero rate-zero odd-none odd-1hz""".split()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    return {f"x-{name}": path for name, path in {**write_hostile(folder), **write_odd(folder)}.items()}


def data_dir(folder, files, table, endings):
    chosen = {utt: str(path) for utt, path in files.items() if path.suffix in endings}
    write_table(folder / table, chosen)
    write_table(folder / "utt2spk", dict.fromkeys(chosen, "x"))
    return folder, chosen


def run(*arguments, seconds=300):
    """Status, output and peak memory in MiB of a command: its own plus its largest child's."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([sys.executable, "-m", "avsv.cli", *map(str, arguments)], stderr=out, stdout=out,
                                   env={**os.environ, "OMP_NUM_THREADS": "1"})  # fmt: skip
        own = children = 0
        while process.poll() is None:
            assert time.monotonic() - begin < seconds, "hangs"
            own, children = max(own, peak_of(process.pid)), max([children, *map(peak_of, children_of(process.pid))])
            time.sleep(0.02)
        out.seek(0)
        print(f"{arguments[0]}: {own:.0f} MiB and {children:.0f} MiB of its decoder, {time.monotonic() - begin:.1f} s")
        return process.returncode, out.read(), own + children


def peak_of(pid):
    """Peak memory of a process so far, MiB."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), 0) / 1024
    except OSError:
        return 0


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as children:
            return children.read().split()
    except OSError:
        return []


def check_all_reported(out_dir, archive, chosen):
    """Check that every file is in the archive or named in `skipped`, and that files beyond repair are skipped."""
    done, skipped = read_table(out_dir / f"{archive}.scp"), read_table(out_dir / "skipped")
    assert done.keys() | skipped.keys() == chosen.keys() and not done.keys() & skipped.keys()
    for utt, reason in skipped.items():
        assert chosen[utt] in reason or "no face was found" in reason or "the audio lasts" in reason, (utt, reason)
    assert not [utt for utt in done if any(what in utt for what in NEVER)]
    return done


@pytest.mark.slow
def test_features_reads_or_reports_every_file(files, tmp_path):
    data, chosen = data_dir(tmp_path / "data", files, "wav.scp", AUDIO)
    status, output, mib = run("features", "--max-skipped", 1, data, tmp_path / "out")
    assert status == 0, output
    done = check_all_reported(tmp_path / "out", "feats", chosen)
    assert len(chosen) > 200
    for utt in ("odd-eight-wav", "odd-eight-flac", "odd-6khz-wav", "odd-6khz-flac", "wav-lies-data-size-most"):
        assert f"x-{utt}" in done
    frames = {utt: len(matrix) for utt, matrix in kaldiio.load_scp(str(tmp_path / "out" / "feats.scp")).items()}
    assert {frames[f"x-odd-long-{form}"] for form in ("wav", "m4a", "eight-flac")} == {119998}
    assert mib < MOST_MIB


@pytest.mark.slow
def test_embed_voice_embeds_or_reports_every_file(files, encoder, tmp_path):
    data, chosen = data_dir(tmp_path / "data", files, "wav.scp", AUDIO)
    status, output, mib = run("embed-voice", "--model", encoder, "--max-skipped", 1, data, tmp_path / "out")
    assert status == 0, output
    done = check_all_reported(tmp_path / "out", "embedding", chosen)
    assert {"x-odd-eight-wav", "x-odd-6khz-flac"} <= done.keys()
    assert {"x-odd-long-wav", "x-odd-long-m4a", "x-odd-long-eight-flac"} <= done.keys()  # 20 minutes, in windows
    skipped = read_table(tmp_path / "out" / "skipped")
    assert "less than 0.1 s" in skipped["x-odd-one-wav"]
    assert mib < MOST_MIB


@pytest.mark.slow
def test_embed_face_embeds_or_reports_every_file(files, pack, tmp_path):
    data, chosen = data_dir(tmp_path / "data", files, "video.scp", IMAGES)
    status, output, mib = run(
        "embed-face", "--model", pack, "--frames-per-clip", 2, "--max-skipped", 1, data, tmp_path / "out"
    )
    assert status == 0, output
    done = check_all_reported(tmp_path / "out", "embedding", chosen)
    assert "x-mp4-lies-moov-size-zero" in done
    assert mib < MOST_MIB


def test_too_many_bad_files_fail_the_job(files, avsv, tmp_path):
    few = {utt: path for utt, path in files.items() if "wav-cut" in utt or utt == "x-odd-eight-wav"}
    data, chosen = data_dir(tmp_path / "data", few, "wav.scp", AUDIO)
    status, output = avsv("features", data, tmp_path / "out")
    assert status == 1 and f"{len(chosen) - 1} of {len(chosen)} clips" in output
    assert len(read_table(tmp_path / "out" / "skipped")) == len(chosen) - 1
    assert not (tmp_path / "out" / "feats.scp").exists()
