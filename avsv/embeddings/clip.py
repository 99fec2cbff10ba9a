"""Embeds one file (recording, video, image or folder of images) for each modality that it has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avsv.embeddings.face import FaceEncoder, assessed, clip_embedding, media_faces
from avsv.embeddings.pair import fuse_pairs, pair_model, refuse_other_encoders
from avsv.embeddings.quality_tables import quality_values
from avsv.embeddings.voice import VoiceEmbedder, read_clip
from avsv.errors import InputError, OptionError
from avsv.features.quality_measures import audio_condition, face_quality, faces_condition, voice_quality
from avsv.models.avn_e import Fusion
from avsv.scoring.domain import Adaptation, adapt_clip
from avsv.scoring.verification import WEIGHTS, Clip


def embed(
    path: Path | str,
    voice: VoiceEmbedder | None = None,
    face: FaceEncoder | None = None,
    fusion: Fusion | None = None,
    *,
    adaptations: Sequence[Adaptation] = (),
    frames_per_clip: int = 5,
    audio_track: int | None = None,
) -> Clip:
    """Embed one file: its voice, its face, and both fused.

    Parameters
    ----------
    path : recording, video, image, or folder of images
    voice : from `load_voice_encoder`; None to leave the voice out
    face : from `load_face_encoder`; None to leave the face out
    fusion : from `load_fusion`, trained on embeddings of these two encoders; needs both
    adaptations : from `read_adaptation`, to the domain of the file; applied to voice and face before they are fused
    frames_per_clip : number of frames of a video in which to detect faces; their embeddings are averaged
    audio_track : number of the audio track, from 1; None for the file's default

    Returns
    -------
    Clip : `vectors` has those of "voice", "face" and "fused" that the file allows, each (d,) float32; `absent` has the
        reason for each missing modality, `quality` and `observed` the measures of each present one

    Raises
    ------
    InputError : no such file, neither a voice nor a face in it, or an adaptation or fusion network of other encoders

    Examples
    --------
    >>> import avsv
    >>> voice = avsv.load_voice_encoder("exp/voice")                             # doctest: +SKIP
    >>> clip = avsv.embed("one.mp4", voice, avsv.load_face_encoder("exp/face"))  # doctest: +SKIP
    >>> clip.vectors["voice"].shape                                              # doctest: +SKIP
    (192,)
    """
    if voice is None and face is None:
        raise OptionError("expected a voice encoder, a face encoder, or both")
    if fusion is not None and (voice is None or face is None):
        raise OptionError("a fusion network needs a voice encoder and a face encoder")
    if not Path(path).exists():
        raise InputError(f"{path}: no such file")
    clip = Clip()
    for modality, encoder, embed_one in (("voice", voice, embed_voice), ("face", face, embed_face)):
        if encoder is None:
            continue
        clip.models[modality] = encoder.model
        try:
            options = audio_track if modality == "voice" else frames_per_clip
            vector, quality, observed = embed_one(path, encoder, options)
            clip.vectors[modality], clip.quality[modality], clip.observed[modality] = vector, quality, observed
        except InputError as error:
            clip.absent[modality] = str(error)
    if not clip.vectors:
        raise InputError(f"{path}: no voice and no face that can be embedded: {'; '.join(clip.absent.values())}")
    clip = adapt_clip(clip, adaptations)
    if fusion is not None:
        refuse_other_encoders(fusion, clip.models, path)
        fused, weights = fuse_one(fusion, clip.vectors, clip.quality)
        clip.models["fused"] = pair_model(fusion, clip.models)
        clip.vectors["fused"], clip.observed["fused"] = fused, dict(zip(WEIGHTS, weights.tolist(), strict=True))
    return clip


Embedded = tuple[np.ndarray, dict[str, float], dict[str, float]]  # embedding, quality measures, further measures


def embed_voice(path: Path | str, encoder: VoiceEmbedder, track: int | None) -> Embedded:
    """Embedding and measures of a file's voice; InputError if it has none that can be embedded."""
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder of images has no audio")
    waveform = read_clip(str(path), None, allow_pipes=False, track=track)
    vector = encoder([waveform])[0]
    quality = {**voice_quality(waveform), "utt2magnitude": float(np.linalg.norm(vector))}
    return vector, quality, audio_condition(waveform)


def embed_face(path: Path | str, encoder: FaceEncoder, n_frames: int) -> Embedded:
    """Embedding and measures of a file's face; InputError if no face is found."""
    faces = assessed(media_faces({"": str(path)}, encoder.detector, n_frames), encoder.quality)("")
    embeddings = next(encoder.embedder.embed_faces_of_clips([("", faces.images)]))[1]
    magnitude = float(np.linalg.norm(embeddings, axis=1).mean())
    quality = {**face_quality(faces), "utt2magnitude": magnitude}
    return clip_embedding(embeddings, faces.quality), quality, faces_condition(faces, embeddings)


def fuse_one(
    fusion: Fusion, vectors: dict[str, np.ndarray], quality: dict[str, dict[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Embedding of the fusion network, (d,) float32, and its weights of voice and face, (2,).

    An absent modality is a vector of zeros, marked as absent.
    """
    sizes = {"voice": fusion.n_voice, "face": fusion.n_face}
    rows = {name: vectors.get(name, np.zeros(size, np.float32))[None] for name, size in sizes.items()}
    tables = {"voice": fusion.options.voice_quality, "face": fusion.options.face_quality}
    values = [quality_values(quality.get(name, {}), wanted) for name, wanted in tables.items()]
    present = np.array([[name in vectors for name in sizes]])
    fused, weights = fuse_pairs(fusion, rows["voice"], rows["face"], present, np.concatenate(values)[None])
    return fused[0], weights[0]
