"""Single pictures: JPEG, PNG, BMP, WebP, TIFF, PPM and PGM, of any mode, as 8 bits a colour and upright."""

import io
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file
from avsv.media.orientation import EXIF, turned

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")  # others run programs (PostScript), or are of no use here
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6")
VIDEO_ENDINGS = {".mjpg", ".mjpeg"}  # which begin as a JPEG does
MOST_PIXELS = 40_000_000  # of a picture: 8K video has 33 million; decoded it takes three bytes each, several times
MOST_SIDE = 16384  # pixels: a border in proportion to the longer side is put around a picture to find faces in it
BACKGROUND = (0, 0, 0)  # behind what is transparent: as around an aligned face


def is_still(path: Path) -> bool:
    """Whether a file is one picture, by its name, or else by how it begins."""
    if path.suffix.lower() in ENDINGS:
        return True
    if path.suffix.lower() in VIDEO_ENDINGS:
        return False
    with open(path, "rb") as file:
        head = file.read(12)
    return head.startswith(BEGINNINGS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def read_image(path: Path) -> np.ndarray:
    """One picture as (height, width, 3) uint8 BGR, upright as its EXIF says; InputError where it cannot be read."""
    # Pillow, for OpenCV fills what a truncated jpg lacks with grey and says nothing
    from PIL import Image

    regular_file(path)
    try:
        with Image.open(path, formats=FORMATS) as picture:
            refuse_large(path, *picture.size)
            picture.load()
            turn = EXIF.get(picture.getexif().get(0x0112), EXIF[1])
            rgb = eight_bits(path, picture)
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: is not a picture, or not supported: expected {', '.join(FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from None
    return turned(rgb[:, :, ::-1], np.array(turn))


def eight_bits(path: Path, picture) -> np.ndarray:
    """A picture of Pillow's, of any mode, as (height, width, 3) uint8 RGB; what is transparent is black.

    Raises
    ------
    InputError : its numbers have no known range (32 bits, floating point)
    """
    from PIL import Image

    mode = picture.mode
    if mode.startswith("I;16") or (mode == "I" and picture.format in ("PNG", "PPM")):
        return np.repeat(grey_of_16_bits(picture)[:, :, None], 3, 2)
    if mode in ("I", "F"):
        kind = "signed or 32-bit integers" if mode == "I" else "floating-point numbers"
        raise InputError(f"{path}: holds {kind}, whose white is not known; save it with 8 or 16 bits a colour")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGB", picture.size, BACKGROUND)
        ground.paste(picture, mask=picture.getchannel("A"))
        picture = ground
    return np.asarray(picture.convert("RGB"))


def grey_of_16_bits(picture) -> np.ndarray:
    """(height, width) uint8 of a picture whose white is 65535, or 4095 in a TIFF of 12 bits."""
    tags = getattr(picture, "tag_v2", {})
    (bits, *_) = tags.get(258, (16,))
    values = np.asarray(picture).astype(np.float32).clip(0, 2**bits - 1)
    grey = np.round(values * np.float32(255 / (2**bits - 1))).astype(np.uint8)
    return 255 - grey if tags.get(262) == 0 else grey  # white is zero


def refuse_large(path: Path | str, width: int, height: int) -> None:
    """InputError where a header promises a picture that would fill the memory."""
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        most = f"{MOST_PIXELS} in all and {MOST_SIDE} on a side"
        raise InputError(f"{path}: has pictures of {width} x {height} pixels, expected at most {most}")


def decode_jpeg(data: bytes | np.ndarray, most_pixels: int, grey: bool = False) -> np.ndarray:
    """A JPEG of our own archives, in this process, for it is small and quick.

    Parameters
    ----------
    data : the file's bytes
    most_pixels : that its header may promise

    Returns
    -------
    (height, width, 3) uint8 BGR, or (height, width) where `grey`

    Raises
    ------
    InputError : something else, a damaged one, or one with more pixels
    """
    import cv2
    from PIL import Image

    data = bytes(data)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            width, height = picture.size
        if width * height > most_pixels:
            raise InputError(f"a JPEG of {width} x {height} pixels, expected at most {most_pixels} in all")
        flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, cv2.error):
        decoded = None
    if decoded is None:
        raise InputError("no JPEG, or a damaged one")
    return decoded
