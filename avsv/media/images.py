"""Reading the images of a clip: a video (mp4, avi, mpg, mkv), a folder of images, or a single image.

A VoxCeleb2 clip is a video, a VoxCeleb1 clip a folder of jpgs; `read_frames` reads both. Any problem with a file raises
an InputError that names the file, so a loop over many clips can skip it. Images are upright and have square pixels.
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
from avsv.media.containers import is_cover, open_container, unreadable
from avsv.media.orientation import display_map, split_map, square_size, turn_image
from avsv.media.still_images import ENDINGS, MOST_PIXELS, MOST_SIDE, is_still, read_image, refuse_large

log = logging.getLogger("avsv")
KEEP = 256 << 20  # bytes of decoded images of a folder to keep in memory
SEEKABLE = {"mov", "mp4", "matroska", "webm"}  # containers with an index, in which seeking to a keyframe is exact


def read_frames(path: Path | str, n: int) -> list[np.ndarray]:
    """Read up to `n` images, evenly spaced over the clip.

    Parameters
    ----------
    path : a video, a folder of images (in the order of their names), or one image
    n : number of images; a clip with fewer yields them all

    Returns
    -------
    list of (height, width, 3) uint8 BGR, as in OpenCV and InsightFace, upright

    Raises
    ------
    InputError : no such file, no video stream, no image that can be decoded, or a truncated file

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
    """Yield the images of `read_frames` one by one, to keep few large images in memory at a time."""
    path = Path(path)
    if n < 1:
        raise InputError(f"{path}: expected to read 1 or more images, found {n}")
    if path.is_dir():
        yield from read_folder(path, n)
    elif not path.exists():
        raise InputError(f"{path}: no such file")
    elif is_still(regular_file(path)):
        yield read_image(path)
    else:
        yield from read_video(path, n)


def evenly_spaced(total: int, n: int) -> list[int]:
    """Up to `n` of the indices 0 to total - 1: the middles of `n` equal parts.

    Examples
    --------
    >>> evenly_spaced(100, 5), evenly_spaced(2, 5)
    ([10, 30, 50, 70, 90], [0, 1])
    """
    return list(range(total)) if total <= n else [int((k + 0.5) * total / n) for k in range(n)]


def read_folder(folder: Path, n: int) -> Iterator[np.ndarray]:
    """Evenly spaced images of a folder; unreadable ones are replaced by others, with a warning."""
    # on foreign disks macOS puts a file "._a.jpg" beside a.jpg, which is not an image
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    if not paths:
        raise InputError(
            f"{folder}: has no images; expected files ending in {', '.join(sorted(e[1:] for e in ENDINGS))}"
        )
    good: dict[Path, np.ndarray | None] = {}  # None for an image that did not fit in memory and is read again
    first_error, left = None, KEEP
    while paths:
        chosen = [paths[i] for i in evenly_spaced(len(paths), n)]
        for path in [p for p in chosen if p not in good]:
            try:
                image = read_image(path)
                left -= image.nbytes
                good[path] = image if left >= 0 else None
                del image
            except InputError as error:
                first_error = first_error or error
                log.warning("skipped %s", error)
                paths.remove(path)
        if all(p in good for p in chosen):
            for path in chosen:
                image = good.pop(path)
                yield read_image(path) if image is None else image
            return
    raise InputError(f"{folder}: none of its images can be read; first error: {first_error}")


def read_video(path: Path, n: int) -> Iterator[np.ndarray]:
    """Evenly spaced frames of a video's default video stream."""
    import av

    n_frames = 0
    try:
        timing = frame_times(path)
        for frame in decode_at(path, timing, evenly_spaced(timing.n, n)):
            yield frame
            n_frames += 1
    except MemoryError:  # ffmpeg's MemoryError is also an FFmpegError; the decoder process reports it
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, "video", error) from None
    if not n_frames:
        raise InputError(f"{path}: no frame can be decoded")


@dataclass(frozen=True)
class Timing:
    """Presentation times of a video's frames.

    n : number of frames shown, without those that an edit list hides or that come before time 0
    times : of the frames shown, ascending, in the stream's time base; empty if frames must be counted because they
        have no time stamps or an edit list moves them
    keys : times of the keyframes among them; empty if the container has no index and seeking is unreliable
    """

    n: int
    times: list[int]
    keys: list[int]


def video_stream(path: Path | str, container):
    """The default video stream of a container, or the first; cover images do not count.

    Raises
    ------
    InputError : no video stream, an unsupported codec, or frames that are too large
    """
    from av.stream import Disposition

    streams = [stream for stream in container.streams.video if not is_cover(stream)]
    if not streams:
        raise InputError(f"{path}: has no video")
    stream = next((one for one in streams if one.disposition & Disposition.default), streams[0])
    if stream.codec_context is None:
        raise InputError(f"{path}: its video codec is not supported")
    refuse_large(path, stream.width, stream.height)
    return stream


def frame_times(path: Path) -> Timing:
    """Presentation times of a video's frames, read without decoding."""
    with open_container(path) as container:
        stream = video_stream(path, container)
        indexed = not SEEKABLE.isdisjoint(container.format.name.split(","))
        # an edit list may hide stored frames or show some twice; mov's index has the stored ones
        n_stored = len(stream.index_entries) if stream.frames and "mov" in container.format.name else stream.frames
        packets = [(p.pts, p.is_keyframe, p.is_discard) for p in container.demux(stream) if p.size]
    if len(packets) < 0.9 * n_stored:
        raise InputError(f"{path}: is truncated: it has {len(packets)} of {n_stored} frames")
    shown = [(pts, is_key) for pts, is_key, is_hidden in packets if not is_hidden and (pts is None or pts >= 0)]
    if len(shown) < len(packets) or any(pts is None for pts, _ in shown):
        return Timing(len(shown), [], [])
    keys = sorted(pts for pts, is_key in shown if is_key and indexed)
    return Timing(len(shown), sorted(pts for pts, _ in shown), keys)


def count_frames(path: Path | str) -> int:
    """Number of frames that a video shows, counted without decoding; raises InputError if it is not a video."""
    import av

    try:
        return frame_times(Path(path)).n
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, "video", error) from None


def decode_at(path: Path, timing: Timing, numbers: list[int]) -> Iterator[np.ndarray]:
    """Decode the frames with these (ascending) numbers, each once.

    Decoding seeks to the last keyframe before each wanted time and stops after the last wanted frame. The next good
    frame replaces a damaged one.
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
    """Make a function that converts a stream's decoded frames to upright images, (height, width, 3) uint8 BGR.

    Frames are scaled to square pixels by the stream's pixel aspect ratio, and rotated and mirrored by its display
    matrix, which comes with the first frame. The function raises InputError for a frame that is too large, even
    if the stream declared a smaller size.
    """
    from av.video.reformatter import VideoReformatter

    change = VideoReformatter()  # frame.reformat would start threads for every frame
    view: list[tuple[float, np.ndarray]] = []

    def show(frame) -> np.ndarray:
        if not view:
            aspect = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
            view.append(split_map(display_map(display_matrix(frame), float(aspect) if aspect else None)))
        stretch, turn = view[0]
        refuse_large(path, frame.width, frame.height)
        width, height = square_size(frame.width, frame.height, stretch, MOST_SIDE, MOST_PIXELS)
        return turn_image(change.reformat(frame, width, height, "bgr24", threads=1).to_ndarray(), turn)

    return show


def display_matrix(frame) -> np.ndarray | None:
    """The nine numbers of a frame's display matrix, as `display_map` takes them; None if it has none.

    Reading its side data keeps a PyAV frame alive until the next garbage collection, so call this for one frame only.
    """
    from av.sidedata.sidedata import Type

    return next(
        (np.frombuffer(one, "<i4", 9).copy() for one in frame.side_data if one.type == Type.DISPLAYMATRIX), None
    )
