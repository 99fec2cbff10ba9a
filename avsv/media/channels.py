"""Mixing a recording down to one channel, and scaling its samples to full scale 1; both are decided per recording.

Channels are averaged. If they cancel each other (stereo in opposite phase, a balanced line recorded as two channels),
one channel is used instead. Two channels cancel if, in quarter-second blocks with more than a tenth of the energy in
total, their average has less than a fifth (-7 dB) of the power that uncorrelated channels would give it.

Floating-point samples may exceed full scale and are kept. Samples that are integers, or as large as integers, were
written without scaling and are divided by 2**15, 2**23 or 2**31. A peak between these two ranges is ambiguous, and the
recording is refused.
"""

import numpy as np

from avsv.errors import InputError

BLOCK = 0.25  # seconds
LOST = 0.2  # share of the power that the average of uncorrelated channels would have
SHARE = 0.1  # of a recording's energy
MOST_OVER = 8.0  # highest peak of a floating-point recording, relative to full scale: 18 dB
LEAST_INTEGER = 256.0  # 16-bit recordings with a lower peak contain only noise
SCALES = (2.0**15, 2.0**23, 2.0**31)


class Mixer:
    """Averages the channels of one recording, piece by piece, and collects statistics of the whole recording.

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
        """Index of the loudest channel (the first if equal) if the channels cancel each other, otherwise None."""
        loud = self.energy > 0.98 * self.energy.max()
        return int(loud.argmax()) if self.cancelled > SHARE * self.energy.sum() else None

    def scale(self, name: str) -> float:
        """Divisor that brings the samples to full scale 1.

        Raises
        ------
        InputError : the samples are neither scaled to 1 nor integers
        """
        if not self.peak > 1 or (not self.integers and self.peak <= MOST_OVER):  # NaN is reported later
            return 1.0
        if self.integers or self.peak >= LEAST_INTEGER:
            # 16-bit samples that were resampled or filtered as floats may overshoot the 16-bit range a little
            for scale in SCALES:
                if self.peak <= scale * (1.0 if self.integers else 1.5):
                    return scale
        raise InputError(f"{name}: the samples reach {self.peak:.4g}, expected integers or floating-point numbers up "
                        "to 1; scale the recording to 1")  # fmt: skip


def are_integers(numbers: np.ndarray) -> bool:
    return bool((numbers == np.rint(numbers)).all())


def energy(channel: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Energy of a channel in each block, after removing the block's mean."""
    channel = channel.astype(np.float64)
    total = np.add.reduceat(channel, begins)
    with np.errstate(invalid="ignore", over="ignore"):  # non-finite samples are refused later
        return np.maximum(np.add.reduceat(channel * channel, begins) - total * total / lengths, 0)
