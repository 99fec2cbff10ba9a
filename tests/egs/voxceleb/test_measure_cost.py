"""The cost of a voice encoder whose layers can be counted by hand."""

import numpy as np
import pytest
import soundfile
import torch

from avsv.models.speaker_encoders import SpeakerEncoderOptions, encoder_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import save_speechbrain_folder
from tests.egs.voxceleb.scripts import prepare

OWN = """
import numpy as np
class Own:
    rate, size = 16000, 2
    def embed(self, waveform):
        return np.array([1.0, len(waveform)])
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for clip in range(3):
        noise = np.random.default_rng(clip).normal(0, 0.1, 16000 * (clip + 1))
        soundfile.write(folder / f"a-{clip}.wav", noise, 16000)
    (folder / "wav.scp").write_text("".join(f"a-{i} {folder}/a-{i}.wav\n" for i in range(3)))
    (folder / "utt2spk").write_text("".join(f"a-{i} a\n" for i in range(3)))
    return folder


def write(folder, name, **options):
    arguments = encoder_arguments(SpeakerEncoderOptions(name, **options))
    net = make_speaker_encoder(name, arguments)
    save_speechbrain_folder(folder, net, torch.zeros(1, options["embedding_size"]), ["nobody"], arguments, name)
    return folder


def test_multiplications_and_parameters_are_counted(data, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    gru = write(tmp_path / "gru", "gru", channels=2, gru_units=4, embedding_size=3)
    xvector = write(tmp_path / "xvector", "xvector", channels=8, embedding_size=3)
    status, output = prepare("measure_cost.py", "--trust-model", "--clips", "2", "--out", tmp_path / "cost.tsv", data,
                             f"gru={gru}", f"xvector={xvector}", f"own={tmp_path}/own.py:Own")  # fmt: skip
    assert status == 0, output
    head, *rows = [line.split("\t") for line in (tmp_path / "cost.tsv").read_text().splitlines()]
    rows = {name: cells for name, *cells in rows}
    assert head == ["system", "parameters", "gmac_per_second", "cpu_seconds_per_second"]
    assert rows["own"][:2] == ["-", "-"]
    frames, after = 301, 151  # of 3 s, and after the convolution of stride 2
    units = [(2 * 32, 4), (4, 4), (4, 4)]
    of_gru = after * sum(3 * n_out * (n_in + n_out) for n_in, n_out in units)
    assert float(rows["gru"][1]) == pytest.approx((after * 32 * 2 * 25 + of_gru + 4 * 3) / 3e9, abs=6e-5)
    assert int(rows["gru"][0]) == 2 * 25 + 4 + sum(3 * o * (i + o) + 6 * o for i, o in units) + 4 * 3 + 3
    wide = round(8 * 1500 / 512)
    layers = 24 * 5 * 8 + 8 * 3 * 8 * 2 + 8 * 8 + 8 * wide
    assert float(rows["xvector"][1]) == pytest.approx((frames * layers + 2 * wide * 3) / 3e9, abs=6e-5)
    assert all(float(row[2]) > 0 for row in rows.values())


def test_a_model_without_a_name_is_refused(data, tmp_path):
    status, output = prepare("measure_cost.py", "--out", tmp_path / "cost.tsv", data, "exp/xvector")
    assert status == 1 and "NAME=MODEL" in output and not (tmp_path / "cost.tsv").exists()
