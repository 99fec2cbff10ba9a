"""Reading still images (JPEG, PNG, BMP, WebP, TIFF, PPM, PGM; any colour mode) as upright 8-bit images."""

import io
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file
from avsv.media.containers import unreadable
from avsv.media.orientation import EXIF, turn_image

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "PPM")  # other formats run programs (PostScript) or are useless here
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"}
BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"II*\0", b"MM\0*", b"P4", b"P5", b"P6")
VIDEO_ENDINGS = {".mjpg", ".mjpeg"}  # videos that begin like a JPEG
MOST_PIXELS = 40_000_000  # 8K video has 33 million; decoding needs several copies of three bytes per pixel
MOST_SIDE = 16384  # pixels; face detection adds a border in proportion to the longer side
BACKGROUND = (0, 0, 0)  # shows through transparent pixels; black, as around an aligned face


def is_still(path: Path) -> bool:
    """Whether a file is a still image, by its name or, failing that, by its first bytes."""
    if path.suffix.lower() in ENDINGS:
        return True
    if path.suffix.lower() in VIDEO_ENDINGS:
        return False
    with open(path, "rb") as file:
        head = file.read(12)
    return head.startswith(BEGINNINGS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")


def read_image(path: Path) -> np.ndarray:
    """Read an image as (height, width, 3) uint8 BGR, upright by its EXIF; raises InputError if it cannot be read."""
    # Pillow, because OpenCV silently fills the missing part of a truncated jpg with grey
    from PIL import Image

    regular_file(path)
    try:
        with Image.open(path, formats=FORMATS) as image:
            refuse_large(path, *image.size)
            image.load()
            turn = EXIF.get(image.getexif().get(0x0112), EXIF[1])
            rgb = eight_bits(path, image)
    except Image.UnidentifiedImageError:
        raise InputError(f"{path}: is not a supported image, expected {', '.join(FORMATS)}") from None
    except (OSError, ValueError, SyntaxError, EOFError, TypeError, Image.DecompressionBombError) as error:
        raise unreadable(path, "an image", error) from None
    return turn_image(rgb[:, :, ::-1], np.array(turn))


def eight_bits(path: Path, image) -> np.ndarray:
    """Convert a Pillow image of any mode to (height, width, 3) uint8 RGB; transparent pixels become black.

    Raises
    ------
    InputError : the pixels have no known range (32 bits, floating point)
    """
    from PIL import Image

    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        return np.repeat(grey_of_16_bits(image)[:, :, None], 3, 2)
    if mode in ("I", "F"):
        kind = "signed or 32-bit integers" if mode == "I" else "floating-point numbers"
        raise InputError(f"{path}: its pixels are {kind} of unknown range; save it with 8 or 16 bits per colour")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGB", image.size, BACKGROUND)
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    return np.asarray(image.convert("RGB"))


def grey_of_16_bits(image) -> np.ndarray:
    """Convert a grey Pillow image to (height, width) uint8; white is 65535, or 4095 in a 12-bit TIFF."""
    tags = getattr(image, "tag_v2", {})
    (bits, *_) = tags.get(258, (16,))
    values = np.asarray(image).astype(np.float32).clip(0, 2**bits - 1)
    grey = np.round(values * np.float32(255 / (2**bits - 1))).astype(np.uint8)
    return 255 - grey if tags.get(262) == 0 else grey  # white is zero


def refuse_large(path: Path | str, width: int, height: int) -> None:
    """Raise InputError if the declared size of an image would exhaust the memory."""
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        most = f"{MOST_PIXELS} in all and {MOST_SIDE} per side"
        raise InputError(f"{path}: has images of {width} x {height} pixels, expected at most {most}")


def decode_jpeg(data: bytes | np.ndarray, most_pixels: int, grey: bool = False) -> np.ndarray:
    """Decode a JPEG from one of avsv's own archives; it is small, so this happens in the calling process.

    Parameters
    ----------
    data : the bytes of the JPEG
    most_pixels : largest size that its header may declare

    Returns
    -------
    (height, width, 3) uint8 BGR, or (height, width) if `grey`

    Raises
    ------
    InputError : not a JPEG, a damaged one, or one with more pixels
    """
    import cv2
    from PIL import Image

    data = bytes(data)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            width, height = image.size
        if width * height > most_pixels:
            raise InputError(f"a JPEG of {width} x {height} pixels, expected at most {most_pixels} in all")
        flag = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, cv2.error):
        decoded = None
    if decoded is None:
        raise InputError("is not a JPEG, or is damaged")
    return decoded
