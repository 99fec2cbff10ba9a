"""Pictures of a clip from files: a video (mp4, avi, mpg, mkv), a folder of pictures, or one picture.

A clip of VoxCeleb2 is a video, one of VoxCeleb1 a folder of jpgs; `read_frames` reads both. Whatever is wrong with a
file ends in a InputError that names it, so that whoever reads many clips can skip one. Pictures come upright and with
square pixels.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file
from avsv.media.containers import is_cover, open_container
from avsv.media.orientation import shown_map, split_map, square_size, turned
from avsv.media.still_images import ENDINGS, MOST_PIXELS, MOST_SIDE, is_still, read_image, refuse_large

log = logging.getLogger("avsv")
KEEP = 256 << 20  # bytes of a folder's pictures
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
    InputError : no such file, no video stream, no picture that can be decoded, a file cut short

    Examples
    --------
    >>> import cv2, tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for i in range(9):
    ...     _ = cv2.imwrite(str(folder / f"{i}.png"), np.full((4, 6, 3), i, np.uint8))
    >>> [int(frame[0, 0, 0]) for frame in read_frames(folder, 3)]
    [1, 4, 7]
    """
    return list(each_frame(path, n))


def each_frame(path: Path | str, n: int) -> Iterator[np.ndarray]:
    """The pictures that `read_frames` gives, one by one, so that few large ones are in memory at a time."""
    path = Path(path)
    if n < 1:
        raise InputError(f"{path}: {n} pictures were asked for, expected 1 or more")
    if path.is_dir():
        yield from read_folder(path, n)
    elif not path.exists():
        raise InputError(f"{path}: there is no such file")
    elif is_still(regular_file(path)):
        yield read_image(path)
    else:
        yield from read_video(path, n)


def evenly_spaced(total: int, n: int) -> list[int]:
    """Up to `n` of the numbers 0 to total - 1: the middles of `n` equal parts.

    Examples
    --------
    >>> evenly_spaced(100, 5), evenly_spaced(2, 5)
    ([10, 30, 50, 70, 90], [0, 1])
    """
    return list(range(total)) if total <= n else [int((k + 0.5) * total / n) for k in range(n)]


def read_folder(folder: Path, n: int) -> Iterator[np.ndarray]:
    """Evenly spaced pictures of a folder; bad ones are left out, with a warning, and others take their place."""
    # macOS leaves a file "._a.jpg" beside a.jpg on other disks, which holds no picture
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    if not paths:
        raise InputError(
            f"{folder}: there are no pictures in this folder ({', '.join(sorted(e[1:] for e in ENDINGS))})"
        )
    good: dict[Path, np.ndarray | None] = {}  # None: will be read again, for there was no room to keep it
    first_error, left = None, KEEP
    while paths:
        chosen = [paths[i] for i in evenly_spaced(len(paths), n)]
        for path in [p for p in chosen if p not in good]:
            try:
                picture = read_image(path)
                left -= picture.nbytes
                good[path] = picture if left >= 0 else None
                del picture
            except InputError as error:
                first_error = first_error or error
                log.warning("left out %s", error)
                paths.remove(path)
        if all(p in good for p in chosen):
            for path in chosen:
                picture = good.pop(path)
                yield read_image(path) if picture is None else picture
            return
    raise InputError(f"{folder}: no picture in this folder can be read; the first: {first_error}")


def read_video(path: Path, n: int) -> Iterator[np.ndarray]:
    """Evenly spaced frames of a video's first picture stream."""
    import av

    n_frames = 0
    try:
        timing = frame_times(path)
        for frame in decode_at(path, timing, evenly_spaced(timing.n, n)):
            yield frame
            n_frames += 1
    except MemoryError:  # one of ffmpeg's is an FFmpegError as well; the guard tells of it
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, error) from None
    if not n_frames:
        raise InputError(f"{path}: no frame can be decoded")


@dataclass(frozen=True)
class Timing:
    """When a video's frames are shown.

    n : frames that are shown; those that an edit list hides, or that come before time 0, are none of them
    times : of these and of the keyframes, ascending, in the stream's time base; empty where frames must be counted,
        for they have no times, or an edit list moves them
    keys : empty where a seek might land anywhere, for the container has no index
    """

    n: int
    times: list[int]
    keys: list[int]


def video_stream(path: Path | str, container):
    """The stream of a container that is its video: the default one, or the first; the cover of a song is none.

    Raises
    ------
    InputError : there is none, no decoder is known for it, its pictures are too large
    """
    from av.stream import Disposition

    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        raise InputError(f"{path}: there is no picture in it")
    stream = next((one for one in streams if one.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise InputError(f"{path}: no decoder is known for its pictures")
    refuse_large(path, stream.width, stream.height)
    return stream


def frame_times(path: Path) -> Timing:
    """When the frames of a video are shown; nothing is decoded."""
    with open_container(path) as container:
        stream = video_stream(path, container)
        indexed = not SEEKABLE.isdisjoint(container.format.name.split(","))
        # an edit list hides some of the frames that are stored, or shows some twice; mov's index tells
        n_stored = len(stream.index_entries) if stream.frames and "mov" in container.format.name else stream.frames
        packets = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
    if len(packets) < 0.9 * n_stored:
        raise InputError(f"{path}: is cut short: {len(packets)} of {n_stored} frames are there")
    shown = [(pts, is_key) for pts, is_key, is_hidden in packets if not is_hidden and (pts is None or pts >= 0)]
    if len(shown) < len(packets) or any(pts is None for pts, _ in shown):
        return Timing(len(shown), [], [])
    keys = sorted(pts for pts, is_key in shown if is_key and indexed)
    return Timing(len(shown), sorted(pts for pts, _ in shown), keys)


def count_frames(path: Path | str) -> int:
    """How many frames of a video are shown; InputError where it is none. Nothing is decoded."""
    import av

    try:
        return frame_times(Path(path)).n
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, error) from None


def unreadable(path: Path | str, error: Exception) -> InputError:
    return InputError(f"{path}: cannot be read as video: {getattr(error, 'strerror', None) or error}")


def decode_at(path: Path, timing: Timing, numbers: list[int]) -> Iterator[np.ndarray]:
    """The frames of these numbers (ascending), each once.

    Decoding jumps to the last keyframe before a wanted time and stops at the last wanted frame. A damaged frame is
    replaced by the next good one.
    """
    wanted = [timing.times[number] for number in numbers] if timing.times else list(numbers)
    keys = timing.keys
    with open_container(path) as container:
        stream = video_stream(path, container)
        show = upright(path, stream)
        decoder, reached, number = container.decode(stream), keys[0] if keys else 0, -1
        while wanted:
            key = keys[max(0, bisect_right(keys, wanted[0]) - 1)] if keys else reached
            if key > reached:
                container.seek(key, stream=stream)
                decoder, reached = container.decode(stream), key
            frame = next(decoder, None)
            if frame is None:
                break
            number += frame.pts is None or frame.pts >= 0
            place = (frame.pts or 0) if timing.times else number
            reached = max(reached, place)
            if place >= wanted[0] and (frame.pts or 0) >= 0 and not frame.is_corrupt:
                yield show(frame)
                wanted = [other for other in wanted if other > place]


def upright(path: Path | str, stream) -> Callable[[Any], np.ndarray]:
    """A function that shows a stream's decoded frames as they are meant to be seen, (height, width, 3) uint8 BGR.

    The stream's pixel aspect ratio makes pixels square, and its display matrix, which comes with the first frame, turns
    and mirrors them.

    Raises
    ------
    InputError : (by the function) a frame is larger than its stream promised, and too large
    """
    from av.video.reformatter import VideoReformatter

    change = VideoReformatter()  # a frame's own would start threads for each
    view: list[tuple[float, np.ndarray]] = []

    def show(frame) -> np.ndarray:
        if not view:
            aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
            view.append(split_map(shown_map(display_matrix(frame), float(aspect) if aspect else None)))
        stretch, turn = view[0]
        refuse_large(path, frame.width, frame.height)
        width, height = square_size(frame.width, frame.height, stretch, MOST_SIDE, MOST_PIXELS)
        return turned(change.reformat(frame, width, height, "bgr24", threads=1).to_ndarray(), turn)

    return show


def display_matrix(frame) -> np.ndarray | None:
    """The nine numbers of a frame's display matrix, as `shown_map` takes them.

    PyAV's frames whose side data were asked for live until the garbage is collected; so ask one of them only.
    """
    from av.sidedata.sidedata import Type

    return next(
        (np.frombuffer(one, "<i4", 9).copy() for one in frame.side_data if one.type == Type.DISPLAYMATRIX), None
    )
