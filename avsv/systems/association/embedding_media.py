"""Embedding waveforms and aligned faces with a network that was trained end to end, and the network's file."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from avsv.errors import InputError
from avsv.features.faces import read_faces
from avsv.jobs.files import replaced_together
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.tables import write_table
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.models.checkpoint import load
from avsv.models.device import pick_device
from avsv.systems.association.input_images import spectrogram_images, square_face
from avsv.systems.association.networks.media import ASSOCIATION_MEDIA, MediaNetwork

log = logging.getLogger("avsv")


def embed_voices(model: MediaNetwork, waveform: np.ndarray, device: torch.device, of_trunk: bool = False) -> np.ndarray:
    """Embed a clip's waveform: the mean direction of its spectrograms' vectors.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz
    of_trunk : return the trunk's output instead of the family's

    Returns
    -------
    (size,) float32
    """
    images = torch.from_numpy(spectrogram_images(waveform, model.trunk_options.side)).to(device)
    return mean_direction((model.trunk_voice if of_trunk else model.voice)(images))


def embed_faces(model: MediaNetwork, faces: np.ndarray, device: torch.device, of_trunk: bool = False) -> np.ndarray:
    """Embed a clip's aligned faces, (n, 112, 112, 3) uint8 BGR: the mean direction of their vectors, (size,)."""
    images = torch.from_numpy(np.stack([square_face(face, model.trunk_options.side) for face in faces])).to(device)
    return mean_direction((model.trunk_face if of_trunk else model.face)(images))


def mean_direction(vectors: torch.Tensor) -> np.ndarray:
    """Mean of the vectors, (n, size), after scaling each to length 1; (size,) float32."""
    return F.normalize(vectors.float()).mean(0).cpu().numpy()


def embed_media(exp_dir: Path, data_dir: Path, out_dir: Path, device: str, max_skipped: float,
                track: int | None = None) -> None:  # fmt: skip
    """Embed a data directory: write voice.{ark,scp}, face.{ark,scp} and the table `skipped`.

    Parameters
    ----------
    max_skipped : share of the clips of each modality that may fail
    track : number of the audio track, from 1; None for the default track

    Raises
    ------
    InputError : no wav.scp or no faces.scp, or more clips failed than allowed
    """
    model, data, place = load(exp_dir, ASSOCIATION_MEDIA)[0], read_data_dir(data_dir), pick_device(device)
    faces = {utt: entry for utt, entry in data.table("faces.scp").items() if utt in data.utt2spk}
    if not data.wav or not faces:
        raise InputError(f"{data_dir}: expected wav.scp and faces.scp (from avsv align-faces)")
    model.to(place)
    skipped: dict[str, str] = {}
    jobs: list[tuple[str, dict[str, str], Callable[[str], np.ndarray]]] = [
        ("voice", data.wav, lambda path: embed_voices(model, guarded(read_waveform, path, 16000, False, track), place)),
        ("face", faces, lambda entry: embed_faces(model, read_faces(entry), place)),
    ]
    done: dict[str, dict[str, np.ndarray]] = {}
    for name, entries, embed in jobs:
        vectors = done[name] = {}
        for utt in progress(sorted(entries, key=str.encode), f"{name} embeddings"):
            try:
                with torch.inference_mode():
                    vector = embed(entries[utt])
                if not np.isfinite(vector).all() or not vector.any():
                    raise InputError("the network's output is NaN, infinite or all zeros")
                vectors[utt] = vector
            except InputError as error:
                skipped[utt] = "; ".join([*([skipped[utt]] if utt in skipped else []), f"{name} {error}"])
                log.warning("skipped %s of %s: %s", name, utt, error)
        n_skipped = len(entries) - len(vectors)
        if n_skipped > max_skipped * len(entries):
            write_table(out_dir / "skipped", skipped)
            raise InputError(f"{data_dir}: {n_skipped} of {len(entries)} {name}s failed, expected at most a share of "
                            f"{max_skipped:g}; see {out_dir}/skipped")  # fmt: skip
        log.info("%s: %d %ss, %d skipped", out_dir, len(vectors), name, n_skipped)
    with replaced_together(out_dir / "skipped"):  # both modalities must come from one network
        for name, vectors in done.items():
            table = np.stack([*vectors.values()])
            write_embeddings(out_dir / f"{name}.ark", out_dir / f"{name}.scp", list(vectors), table)
        write_table(out_dir / "skipped", skipped)
