"""Encoding images and waveforms as the bytes of files."""

import io

import numpy as np


def encode_png(image: np.ndarray) -> bytes:
    """Encode an image, (height, width, 3) uint8 RGB, as PNG.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3, 3), np.uint8))[1:4]
    b'PNG'
    """
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def encode_thumbnail(image: np.ndarray, most_side: int) -> bytes:
    """Encode an image, (height, width, 3) uint8 BGR, as a JPEG scaled down to at most `most_side` pixels per side."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(image[:, :, ::-1]))
    small.thumbnail((most_side, most_side))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82)
    return out.getvalue()


def encode_audio(waveform: np.ndarray, rate: int, form: str = "WAV") -> bytes:
    """Encode a waveform, (n,) float32 of full scale 1, as 16-bit "WAV", or as "MP3" for browsers.

    Examples
    --------
    >>> encode_audio(np.zeros(160, np.float32), 16000)[:4]
    b'RIFF'
    """
    import soundfile

    out = io.BytesIO()
    subtype = "MPEG_LAYER_III" if form == "MP3" else "PCM_16"
    soundfile.write(out, np.clip(waveform, -1, 1), rate, format=form, subtype=subtype)
    return out.getvalue()
