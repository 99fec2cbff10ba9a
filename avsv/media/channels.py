"""Channels of a recording to one, and its numbers to full scale 1: what is decided over a whole recording.

Channels are averaged. Where they cancel each other (stereo in opposite phase, a balanced line taken for two channels)
the average is next to nothing, or a part of it is, and one channel is used instead. They cancel where in blocks of a
quarter second that hold over a tenth of the energy the average has less than a fifth of the power that unrelated
channels would give it: 7 dB.

Samples beyond full scale are legal in floating point, and are kept. Numbers that are integers, or of the size of
integers, have been written without a scale, and are divided by 2**15, 2**23 or 2**31; between them nobody can tell, and
the recording is refused.
"""

import numpy as np

from avsv.errors import InputError

BLOCK = 0.25  # seconds
LOST = 0.2  # of the power that unrelated channels would give their average
SHARE = 0.1  # of a recording's energy
MOST_OVER = 8.0  # times full scale, 18 dB, that a float recording may have
LEAST_INTEGER = 256.0  # a recording of 16-bit integers with a lower peak is noise
SCALES = (2.0**15, 2.0**23, 2.0**31)


class Mixer:
    """Averages the channels of pieces of one recording, and keeps what is needed to judge the whole.

    Examples
    --------
    >>> mixer, tone = Mixer(16000), np.sin(np.arange(16000, dtype=np.float32))
    >>> float(abs(mixer.mix(np.stack([tone, -tone], 1))).max()), mixer.cancelling()
    (0.0, 0)
    """

    def __init__(self, rate: int):
        self.block = max(1, round(BLOCK * rate))
        self.energy = np.zeros(1)  # of each channel
        self.cancelled = 0.0  # energy of all channels in blocks where they cancel
        self.peak, self.integers = 0.0, True

    def mix(self, piece: np.ndarray) -> np.ndarray:
        """(n, channels) float32 -> (n,) float32."""
        if not piece.size:
            return piece[:, 0]
        self.peak = max(self.peak, float(piece.max()), -float(piece.min()))
        self.integers = self.integers and are_integers(piece[:4096]) and are_integers(piece)
        if piece.shape[1] == 1:
            return piece[:, 0]
        mixed = piece.mean(axis=1, dtype=np.float32)
        begins = np.arange(0, len(piece), self.block)
        lengths = np.diff(np.append(begins, len(piece)))
        energies = np.stack([energy(channel, begins, lengths) for channel in (*piece.T, mixed)])
        of_channels = energies[:-1].sum(0)
        lost = energies[-1] < LOST * of_channels / piece.shape[1] ** 2
        self.cancelled += float(of_channels[lost].sum())
        size = max(len(self.energy), piece.shape[1])
        self.energy = np.pad(self.energy, (0, size - len(self.energy)))
        self.energy[: piece.shape[1]] += energies[:-1].sum(1)
        return mixed

    def cancelling(self) -> int | None:
        """The loudest channel (of equals the first), from 0, where the channels cancel each other; else None."""
        loud = self.energy > 0.98 * self.energy.max()
        return int(loud.argmax()) if self.cancelled > SHARE * self.energy.sum() else None

    def scale(self, name: str) -> float:
        """What the samples are divided by.

        Raises
        ------
        InputError : samples that are neither of full scale 1 nor integers
        """
        if not self.peak > 1 or (not self.integers and self.peak <= MOST_OVER):  # NaN is told later
            return 1.0
        if self.integers or self.peak >= LEAST_INTEGER:
            # what was resampled or filtered as numbers of 16 bits may be a little beyond them
            for scale in SCALES:
                if self.peak <= scale * (1.0 if self.integers else 1.5):
                    return scale
        raise InputError(f"{name}: its samples reach {self.peak:.4g}, expected floating-point numbers up to 1, or "
                        "integers; scale it to 1")  # fmt: skip


def are_integers(numbers: np.ndarray) -> bool:
    return bool((numbers == np.rint(numbers)).all())


def energy(channel: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Energy of a channel in each block, without its mean."""
    channel = channel.astype(np.float64)
    total = np.add.reduceat(channel, begins)
    with np.errstate(invalid="ignore", over="ignore"):  # samples that are not finite are refused later
        return np.maximum(np.add.reduceat(channel * channel, begins) - total * total / lengths, 0)
