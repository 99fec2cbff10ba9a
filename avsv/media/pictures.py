"""Pictures of a clip from files: a video (mp4, avi, mpg, mkv), a folder of pictures, or one picture.

A clip of VoxCeleb2 is a video, one of VoxCeleb1 a folder of jpgs; `read_frames` reads both. Whatever is wrong with a
file ends in a UserError that names it, so that whoever reads many clips can skip one.
"""

import logging
from bisect import bisect_right
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.media.containers import open_container

log = logging.getLogger("avsv")
PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
MOST_PIXELS = 40_000_000  # of a picture: 8K video has 33 million; decoded it takes three bytes each, several times
MOST_SIDE = 16384  # pixels: a border in proportion to the longer side is put around a picture to find faces in it
SEEKABLE = {"mov", "mp4", "matroska", "webm"}  # containers with an index, where a seek lands on the keyframe asked for


def read_frames(path: Path | str, n: int) -> list[np.ndarray]:
    """Read up to `n` pictures, evenly spaced over the clip.

    Parameters
    ----------
    path : a video, a folder of pictures (in the order of their names), or one picture
    n : how many; a clip that has fewer gives all it has

    Returns
    -------
    list of (height, width, 3) uint8, blue-green-red as OpenCV and InsightFace have them, upright

    Raises
    ------
    UserError : no such file, no video stream, no picture that can be decoded, a file cut short

    Examples
    --------
    >>> import cv2, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for i in range(9):
    ...     _ = cv2.imwrite(str(folder / f"{i}.png"), np.full((4, 6, 3), i, np.uint8))
    >>> [int(frame[0, 0, 0]) for frame in read_frames(folder, 3)]
    [1, 4, 7]
    """
    path = Path(path)
    if n < 1:
        raise UserError(f"{path}: {n} pictures were asked for, expected 1 or more")
    if path.is_dir():
        return read_folder(path, n)
    if not path.exists():
        raise UserError(f"{path}: there is no such file")
    if not path.is_file():  # a named pipe would wait for ever
        raise UserError(f"{path}: is neither a file nor a folder")
    return [read_picture(path)] if path.suffix.lower() in PICTURE_ENDINGS else read_video(path, n)


def evenly_spaced(total: int, n: int) -> list[int]:
    """Up to `n` of the numbers 0 to total - 1: the middles of `n` equal parts.

    Examples
    --------
    >>> evenly_spaced(100, 5), evenly_spaced(2, 5)
    ([10, 30, 50, 70, 90], [0, 1])
    """
    return list(range(total)) if total <= n else [int((k + 0.5) * total / n) for k in range(n)]


def read_folder(folder: Path, n: int) -> list[np.ndarray]:
    """Evenly spaced pictures of a folder; bad ones are left out, with a warning, and others take their place."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_ENDINGS)
    if not paths:
        raise UserError(f"{folder}: there are no pictures in this folder (jpg, png, bmp, webp)")
    good: dict[Path, np.ndarray] = {}
    first_error = None
    while paths:
        chosen = [paths[i] for i in evenly_spaced(len(paths), n)]
        for path in [p for p in chosen if p not in good]:
            try:
                good[path] = read_picture(path)
            except UserError as error:
                first_error = first_error or error
                log.warning("left out %s", error)
                paths.remove(path)
        if all(p in good for p in chosen):
            return [good[p] for p in chosen]
    raise UserError(f"{folder}: no picture in this folder can be read; the first: {first_error}")


def read_picture(path: Path) -> np.ndarray:
    """One picture as (height, width, 3) uint8 BGR, upright as its EXIF says; UserError where it cannot be read."""
    # Pillow, for OpenCV fills what a truncated jpg lacks with grey and says nothing
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as picture:
            refuse_large(path, *picture.size)
            rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except Image.UnidentifiedImageError:
        raise UserError(f"{path}: is not a picture in any format known here") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a picture: {getattr(error, 'strerror', None) or error}") from None
    return np.ascontiguousarray(rgb[:, :, ::-1])


def refuse_large(path: Path, width: int, height: int) -> None:
    """UserError where a header promises a picture that would fill the memory."""
    if width * height > MOST_PIXELS or max(width, height) > MOST_SIDE:
        most = f"{MOST_PIXELS} in all and {MOST_SIDE} on a side"
        raise UserError(f"{path}: has pictures of {width} x {height} pixels, expected at most {most}")


def read_video(path: Path, n: int) -> list[np.ndarray]:
    """Evenly spaced frames of a video's first picture stream."""
    import av

    try:
        times, keys = frame_times(path)
        frames = decode_at(path, [times[i] for i in evenly_spaced(len(times), n)], keys)
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as video: {getattr(error, 'strerror', None) or error}") from None
    if not frames:
        raise UserError(f"{path}: no frame can be decoded")
    return frames


def frame_times(path: Path) -> tuple[list[int], list[int]]:
    """Times of a video's frames and of its keyframes, ascending, in the stream's time base; nothing is decoded.

    There are no keyframes where the container has no index, for a seek might land anywhere.
    """

    with open_container(path) as container:
        if not container.streams.video:
            raise UserError(f"{path}: there is no picture in it")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UserError(f"{path}: no decoder is known for its pictures")
        refuse_large(path, stream.width, stream.height)
        packets = [(p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and p.pts is not None]
        if len(packets) < 0.9 * stream.frames:
            raise UserError(f"{path}: is cut short: {len(packets)} of {stream.frames} frames are there")
        indexed = not SEEKABLE.isdisjoint(container.format.name.split(","))
    return sorted(pts for pts, _ in packets), sorted(pts for pts, is_key in packets if is_key and indexed)


def decode_at(path: Path, wanted: list[int], keys: list[int]) -> list[np.ndarray]:
    """The frames shown at the times `wanted` (ascending), each once.

    Decoding jumps to the last keyframe before a wanted time and stops at the last wanted frame. A damaged frame is
    replaced by the next good one.
    """

    frames: list[np.ndarray] = []
    wanted = list(wanted)
    with open_container(path) as container:
        stream = container.streams.video[0]
        decoder, reached = container.decode(stream), keys[0] if keys else 0
        while wanted:
            key = keys[max(0, bisect_right(keys, wanted[0]) - 1)] if keys else reached
            if key > reached:
                container.seek(key, stream=stream)
                decoder, reached = container.decode(stream), key
            frame = next(decoder, None)
            if frame is None:
                break
            reached = max(reached, frame.pts or 0)
            if (frame.pts or 0) >= wanted[0] and not frame.is_corrupt:
                frames.append(upright(frame))
                wanted = [time for time in wanted if time > (frame.pts or 0)]
    return frames


def upright(frame) -> np.ndarray:
    """A decoded frame as (height, width, 3) uint8 BGR, turned as the video's rotation metadata says."""
    picture = frame.to_ndarray(format="bgr24")
    return np.ascontiguousarray(np.rot90(picture, round(frame.rotation / 90) % 4))
