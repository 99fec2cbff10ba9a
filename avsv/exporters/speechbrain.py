"""Voice encoders as folders that SpeechBrain's EncoderClassifier loads from anywhere."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from avsv.errors import InputError
from avsv.exporters.onnx_file import Exported, agreement, lengths, refuse_disagreement
from avsv.exporters.voice import SECONDS, draw_waveform
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import copy_file, replaced_together, whole_file
from avsv.models.hyperparams import RATE
from avsv.models.model_cards import CARD, licence_of, write_card
from avsv.models.speechbrain_folder import encoder_folder, load_encoder, portable_settings, without_noise

BOUND = 1e-6  # both run the same network in torch


def export_speechbrain(source: str, out: Path, licence: str | None = None) -> Exported:
    """Write a folder that `EncoderClassifier.from_hparams(source=out)` loads, wherever it is moved.

    Parameters
    ----------
    source : folder or published name of an encoder in SpeechBrain's format
    out : the folder
    licence : of the weights; None: as in the model card

    Raises
    ------
    InputError : no such encoder; a file that SpeechBrain needs is absent; SpeechBrain loads the copy but embeds
        otherwise than avsv
    """
    original, folder = load_encoder(source, "cpu"), encoder_folder(source)
    text, files = portable_settings(folder)
    for name, file in files.items():
        if not file.exists():
            raise InputError(
                f"{folder}: has no {file.name}, which SpeechBrain needs to load {name}; export to ONNX instead"
            )
        require_model_file(file)
    with TemporaryDirectory() as trial:
        write_folder(Path(trial), text, files)
        difference = agreement(compare(original, Path(trial)))
    refuse_disagreement(out, difference, BOUND)
    out.mkdir(parents=True, exist_ok=True)
    with replaced_together(out / "hyperparams.yaml"):
        write_folder(out, text, files)
        write_card(out / CARD, folder / CARD, licence_of(folder, licence))
    return Exported(out, difference, BOUND)


def write_folder(folder: Path, text: str, files: dict[str, Path]) -> None:
    for name, file in files.items():
        copy_file(file, folder / f"{name}.ckpt")
    with whole_file(folder / "hyperparams.yaml") as out:
        out.write(text)


@torch.inference_mode()
def compare(original: nn.Module, folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield embeddings by SpeechBrain's own class and by avsv, for random waveforms of many lengths."""
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import LocalStrategy

    try:
        theirs = EncoderClassifier.from_hparams(source=str(folder), savedir=str(folder),
                                                local_strategy=LocalStrategy.NO_LINK)  # fmt: skip
    except Exception as error:  # from torch, HyperPyYAML or SpeechBrain
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{folder}: SpeechBrain cannot load the exported folder: {reason}") from None
    without_noise(theirs.mods["embedding_model"])  # which SpeechBrain draws anew for each of its x-vectors
    rng = np.random.default_rng(0)
    for n in lengths(rng, *(RATE * seconds for seconds in SECONDS)):
        waveform = torch.from_numpy(draw_waveform(rng, n)).unsqueeze(0)
        yield tuple(encoder.encode_batch(waveform).reshape(1, -1).numpy() for encoder in (theirs, original))
