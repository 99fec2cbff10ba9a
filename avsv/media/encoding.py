"""Pictures and sound as the bytes of files."""

import io

import numpy as np


def encode_png(picture: np.ndarray) -> bytes:
    """A picture, (height, width, 3) uint8 RGB, as the bytes of a PNG file.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3, 3), np.uint8))[1:4]
    b'PNG'
    """
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


def encode_thumbnail(picture: np.ndarray, most_side: int) -> bytes:
    """A picture, (height, width, 3) uint8 BGR, as a small JPEG with sides of at most `most_side` pixels."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))
    small.thumbnail((most_side, most_side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return out.getvalue()


def encode_audio(sound: np.ndarray, rate: int, form: str = "WAV") -> bytes:
    """Sound, (n,) float32 of full scale 1, as the bytes of a file: "WAV" of 16 bits, or "MP3", which browsers play.

    Examples
    --------
    >>> encode_audio(np.zeros(160, np.float32), 16000)[:4]
    b'RIFF'
    """
    import soundfile

    out = io.BytesIO()
    subtype = "MPEG_LAYER_III" if form == "MP3" else "PCM_16"
    soundfile.write(out, np.clip(sound, -1, 1), rate, format=form, subtype=subtype)
    return out.getvalue()
