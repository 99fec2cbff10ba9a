"""Audio and image samples of a noisy test set: each clip before and after damage."""

import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.features.audio_damage import RATE, damage_audio
from avsv.features.face_damage import damage_faces
from avsv.features.faces import SIDE, read_faces
from avsv.jobs.files import whole_file
from avsv.kaldi.damage import MISSING, read_damage
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.media.decoder_process import guarded
from avsv.media.encoding import encode_audio
from avsv.media.images import read_frames
from avsv.media.waveforms import read_waveform

log = logging.getLogger("avsv")


def write_samples(noisy_dir: Path, folder: Path, n: int) -> int:
    """Write `n` samples of the damage in utt2damage, taking the kinds in turn; returns the number written.

    A voice gives UTT.clean.wav and UTT.KIND.wav; a face gives UTT.KIND.png, with clean and damaged side by side. Clips
    that cannot be read are skipped with a warning, and clips whose modality is missing have no sample.
    """
    data = read_data_dir(noisy_dir)
    aligned = data.table("faces.scp")
    waiting: dict[tuple[str, str], list[tuple[str, dict]]] = {}
    for modality in ("voice", "face"):
        clips = list(read_damage(noisy_dir, modality).items())
        for row in np.random.default_rng(0).permutation(len(clips)):  # otherwise all samples would have one speaker
            utt, damage = clips[row]
            if damage["kind"] != MISSING:
                waiting.setdefault((modality, damage["kind"]), []).append((utt, damage))
    if not aligned and any(modality == "face" for modality, _ in waiting):
        log.warning("%s/faces.scp: is absent; showing whole images, damaged as if they were aligned faces",
                    noisy_dir)  # fmt: skip
    written = 0
    while written < n and any(waiting.values()):
        for (modality, kind), clips in waiting.items():
            if clips and written < n:
                utt, damage = clips.pop(0)
                try:
                    if modality == "voice":
                        write_voice(data, utt, damage, folder)
                    else:
                        write_face(middle_face(data, aligned, utt), utt, damage, folder)
                    written += 1
                except InputError as error:
                    log.warning("no sample of %s, %s: %s", utt, kind, error)
    return written


def write_voice(data: DataDir, utt: str, damage: dict, folder: Path) -> None:
    clean = guarded(read_waveform, data.wav[utt])
    for name, waveform in (("clean", clean), (damage["kind"], damage_audio(clean, damage))):
        with whole_file(folder / f"{file_name(utt)}.{name}.wav", "wb") as out:
            out.write(encode_audio(waveform, RATE))


def file_name(utt: str) -> str:
    """An utterance's name as a file name, with its slashes escaped.

    Examples
    --------
    >>> file_name("../a"), file_name("id1-a-1")
    ('..%2Fa', 'id1-a-1')
    """
    return utt.replace("%", "%25").replace("/", "%2F")


def write_face(clean: np.ndarray, utt: str, damage: dict, folder: Path) -> None:
    _, png = cv2.imencode(".png", np.hstack([clean, damage_faces(clean[None], damage)[0]]))
    with whole_file(folder / f"{file_name(utt)}.{damage['kind']}.png", "wb") as out:
        out.write(png.tobytes())


def middle_face(data: DataDir, aligned: Mapping[str, str], utt: str) -> np.ndarray:
    """The aligned face in the middle of a clip, (112, 112, 3) uint8 BGR.

    A clip that is not in `aligned` (faces.scp) gives the central square of its middle image, scaled to that size. In
    VoxCeleb, where images are cropped around the face, that is close to the aligned face, but the face is smaller and
    looks more damaged than it is.
    """
    if utt in aligned:
        clip = read_faces(aligned[utt])
        return clip[len(clip) // 2]
    image = guarded(read_frames, data.video[utt], 1)[0]
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return cv2.resize(image[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
