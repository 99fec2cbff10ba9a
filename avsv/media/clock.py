"""Sound on the clock of its container.

Sample k is heard k / rate seconds after the file begins (`containers.time_zero`), for embeddings, segments and
synchrony alike. Sound that begins later than the pictures is preceded by silence, and what lies before the beginning is
left out. Where packets are missing, what follows stays where its time stamps put it, with silence in between; of sound
that overlaps what came before, the overlap is left out. Stamps are rounded in many containers, so that sound is moved
only where it is off by half a frame, and by 2 ms or more. What an encoder puts before the beginning (priming) and what
an edit list hides is taken off by ffmpeg, to whole frames at the end.
"""

import logging
from collections.abc import Iterator

import numpy as np

log = logging.getLogger("avsv")
LEAST = 0.002  # seconds; FLV and Matroska round to 1 ms
JUMP = 1.0  # seconds; stamps that go back by more begin anew: files were joined
BEYOND = 1.0  # seconds after the end of the file, where no stamp can be
PIECE = 1 << 20  # samples of silence at a time


class Clock:
    """Puts the frames of one recording where their time stamps say.

    Parameters
    ----------
    name : for the log
    zero : seconds of the container's stamps at which the file begins
    seconds : length of the file by its header; infinite where it is not known
    """

    def __init__(self, name: str, zero: float, seconds: float):
        self.name, self.zero, self.seconds = name, zero, seconds
        self.n_samples = 0  # placed so far
        self.gaps, self.missing, self.overlap, self.jumps = 0, 0.0, 0.0, 0

    def place(self, frame, samples: np.ndarray) -> Iterator[np.ndarray]:
        """The samples of a decoded frame, (n, channels), with the silence before them, without what overlaps."""
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
        """Log what had to be mended."""
        if self.gaps:
            log.warning("%s: sound is missing in %d places, %.2f s in all; there is silence instead", self.name,
                        self.gaps, self.missing)  # fmt: skip
        if self.overlap:
            log.warning("%s: %.2f s of its sound are there twice by its time stamps; once is used", self.name,
                        self.overlap)  # fmt: skip
        if self.jumps:
            log.warning("%s: its time stamps make no sense in %d places; what follows there is taken to follow on",
                        self.name, self.jumps)  # fmt: skip
