"""Loading a gallery's encoders, and embedding files by them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from avsv.errors import OptionError
from avsv.kaldi.origin import python_class
from avsv.scoring.verification import Clip


def load_encoders(sources: Mapping[str, str], device: str, trust: bool) -> dict[str, Any]:
    """Modality -> encoder, loaded from its source; other parameters as in `Gallery`.

    Raises
    ------
    InputError : no such encoder, a damaged one, or one that is not trusted
    OptionError : no source
    """
    from avsv.embeddings.face import load_face_encoder
    from avsv.embeddings.voice import load_voice_encoder

    load = {"voice": lambda source: load_voice_encoder(source, device, trust),
            "face": lambda source: load_face_encoder(source, device)}  # fmt: skip
    if not sources:
        raise OptionError("expected a voice encoder, a face encoder, or both")
    return {modality: load[modality](source) for modality, source in sources.items()}


def embed_file(path: Path | str, encoders: Mapping[str, Any], frames_per_clip: int, audio_track: int | None) -> Clip:
    """Embed a file, without adaptation; InputError if it has neither a voice nor a face."""
    from avsv.embeddings.clip import embed

    options = {"frames_per_clip": frames_per_clip, "audio_track": audio_track}
    return embed(path, encoders.get("voice"), encoders.get("face"), **options)


def lasting(source: Path | str) -> str:
    """A source that does not depend on the working directory: an absolute path, or a published name.

    Examples
    --------
    >>> lasting("/models/../voice.py:Mine"), lasting("buffalo_l")
    ('/models/../voice.py:Mine', 'buffalo_l')
    """
    if found := python_class(source):
        return f"{Path(found[0]).absolute()}:{found[1]}"
    return str(Path(source).absolute()) if Path(source).exists() else str(source)
