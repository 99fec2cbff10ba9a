"""Placing audio on the clock of its container.

Sample k is heard k / rate seconds after time 0 of the file (`containers.time_zero`); embeddings, segments and synchrony
all rely on this. Audio that starts later than the video is preceded by silence, and audio before time 0 is dropped.
Missing packets are replaced by silence, which keeps later audio at its time stamps; overlapping audio is used once.
Many containers round their time stamps, so audio is moved only if it is off by at least half a frame and at least 2 ms.
ffmpeg removes encoder priming and content hidden by an edit list; at the end it removes whole frames only.
"""

import logging
from collections.abc import Iterator

import numpy as np

log = logging.getLogger("avsv")
LEAST = 0.002  # seconds; FLV and Matroska round to 1 ms
JUMP = 1.0  # seconds; time stamps that go back further have restarted, as in concatenated files
BEYOND = 1.0  # seconds after the end of the file; a later time stamp is wrong
PIECE = 1 << 20  # samples of silence at a time


class Clock:
    """Places the audio frames of one recording at their time stamps.

    Parameters
    ----------
    name : name of the recording in the log
    zero : time 0 of the file, in seconds of the container's time stamps
    seconds : duration by the file's header; infinite if unknown
    """

    def __init__(self, name: str, zero: float, seconds: float):
        self.name, self.zero, self.seconds = name, zero, seconds
        self.n_samples = 0  # placed so far
        self.gaps, self.missing, self.overlap, self.jumps = 0, 0.0, 0.0, 0

    def place(self, frame, samples: np.ndarray) -> Iterator[np.ndarray]:
        """Yield any silence before a decoded frame, then its samples, (n, channels), without the overlapping part."""
        if frame.pts is None or not len(samples):
            lead = 0
        else:
            time = float(frame.pts * frame.time_base) - self.zero
            lead = round(time * frame.rate) - self.n_samples
        slack = max(len(samples) // 2, round(LEAST * frame.rate)) if self.n_samples else 0
        if abs(lead) <= slack:
            lead = 0
        elif lead < -JUMP * frame.rate or (lead > 0 and time > self.seconds + BEYOND):
            self.zero += lead / frame.rate
            self.jumps += 1
            lead = 0
        if self.n_samples and lead > 0:
            self.gaps += 1
            self.missing += lead / frame.rate
        elif lead < 0:
            samples = samples[-lead:]
            self.overlap += -lead / frame.rate if self.n_samples else 0.0
        for begin in range(0, lead, PIECE):
            yield np.zeros((min(PIECE, lead - begin), samples.shape[1]), np.float32)
        self.n_samples += max(0, lead) + len(samples)
        yield samples

    def report(self) -> None:
        """Log the corrections that were made."""
        if self.gaps:
            log.warning("%s: audio is missing in %d places, %.2f s in all; replaced by silence", self.name,
                        self.gaps, self.missing)  # fmt: skip
        if self.overlap:
            log.warning("%s: %.2f s of audio overlap by their time stamps; the overlap is used once", self.name,
                        self.overlap)  # fmt: skip
        if self.jumps:
            log.warning("%s: time stamps jump in %d places; the audio after each jump is appended without a gap",
                        self.name, self.jumps)  # fmt: skip
