"""Two clips of any kind, recordings, videos or pictures, embedded for as many modalities as each of them has."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from avsv.embeddings.face import FaceEmbedder, media_faces
from avsv.embeddings.voice import make_voice_embedder, read_clip
from avsv.errors import InputError
from avsv.features.face_pack import load_pack
from avsv.kaldi.origin import face_model, voice_model


@dataclass(frozen=True)
class Clip:
    """What a clip has.

    vectors : modality -> embedding, (d,) float32
    absent : modality -> why there is none
    """

    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


class ClipEmbedder:
    """Voice and face of single clips.

    Parameters
    ----------
    voice : as `make_voice_embedder` takes it
    face : as `load_pack` takes it
    n_frames : of a video, in which faces are looked for
    device : "cpu" or "cuda"
    trust : of the voice model, see `load_encoder`
    track : number of the sound track, see `read_waveform`
    """

    def __init__(self, voice: str, face: str, n_frames: int = 5, device: str = "cpu", trust: bool = False,
                 track: int | None = None):  # fmt: skip
        self.pack, self.n_frames = load_pack(face, device), n_frames
        self.track = track
        self.models = {"voice": voice_model(voice), "face": face_model(*self.pack.files("recognition"))}
        self.embed_voice = make_voice_embedder(voice, device, trust)
        self.face = FaceEmbedder(self.pack.recognition)

    def __call__(self, path: str) -> Clip:
        """Embed a recording, a video, a picture or a folder of pictures.

        Raises
        ------
        InputError : there is no such file, or neither a voice nor a face in it
        """
        if not Path(path).exists():
            raise InputError(f"{path}: there is no such file")
        clip = Clip()
        for modality, read, embed in (
            ("voice", partial(read_voice, track=self.track), self.voice_of),
            ("face", partial(read_face, detector=self.pack.detection, n_frames=self.n_frames), self.face_of),
        ):
            try:
                content = read(path)
            except InputError as error:
                clip.absent[modality] = str(error)
            else:
                clip.vectors[modality] = embed(content)
        if not clip.vectors:
            raise InputError(
                f"{path}: has neither a voice nor a face that can be used: {'; '.join(clip.absent.values())}"
            )
        return clip

    def voice_of(self, sound: np.ndarray) -> np.ndarray:
        return self.embed_voice([sound])[0]

    def face_of(self, faces: np.ndarray) -> np.ndarray:
        return next(self.face.embed_clips([("", faces)]))[1]


def read_voice(path: str, track: int | None = None) -> np.ndarray:
    """The sound of a clip; InputError where it has none that can be embedded."""
    if Path(path).is_dir():
        raise InputError(f"{path}: a folder of pictures has no sound")
    return read_clip(path, None, allow_pipes=False, track=track)


def read_face(path: str, detector: Any, n_frames: int) -> np.ndarray:
    """The aligned faces of a clip, (n, 112, 112, 3) uint8 BGR; InputError where none is found."""
    return media_faces({path: path}, detector, n_frames)(path).images
