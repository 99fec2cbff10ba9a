"""Kaldi's filter banks and energy-based voice activity detection."""

import kaldi_native_fbank as knf
import numpy as np

from avsv.errors import UserError

RATE = 16000
FRAME, HOP, BLOCK = 400, 160, 80  # samples; frames and hops are whole blocks, whose sums are shared
FULL_SCALE = 32768.0  # Kaldi's features are of samples as 16-bit integers


def fbank_options(n_mels: int = 80, high_freq: float = 7600) -> knf.FbankOptions:
    """Kaldi's `compute-fbank-feats --num-mel-bins=80 --low-freq=20 --high-freq=7600 --use-energy=true --dither=0`."""
    options = knf.FbankOptions()
    options.frame_opts.samp_freq = RATE
    options.frame_opts.dither = 0.0  # the same file gives the same features
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = n_mels
    options.mel_opts.low_freq = 20
    options.mel_opts.high_freq = high_freq  # 7600 in Kaldi's VoxCeleb recipes: codecs leave nothing above
    options.use_energy = True
    options.raw_energy = True
    return options


def fbank_and_energy(sound: np.ndarray, n_mels: int = 80, high_freq: float = 7600) -> tuple[np.ndarray, np.ndarray]:
    """Log mel energies and log energy of 25 ms frames every 10 ms.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz, full scale is 1
    high_freq : upper end of the highest band, Hz

    Returns
    -------
    (t, n_mels) float32, natural logarithm ; (t,) float32, natural logarithm of the frame's energy

    Raises
    ------
    UserError : the sound is shorter than one frame

    Examples
    --------
    >>> features, energy = fbank_and_energy(np.ones(16000, np.float32))
    >>> features.shape, energy.shape
    ((98, 80), (98,))
    """
    computer = knf.OnlineFbank(fbank_options(n_mels, high_freq))
    computer.accept_waveform(RATE, sound * FULL_SCALE)
    computer.input_finished()
    n_frames = computer.num_frames_ready
    if not n_frames:
        raise UserError(f"the sound lasts {len(sound) / RATE:.4f} s, less than one frame of 0.025 s")
    frames = np.stack([computer.get_frame(i) for i in range(n_frames)])
    return frames[:, 1:], frames[:, 0]


def log_energy(sound: np.ndarray) -> np.ndarray:
    """The energies of `fbank_and_energy` alone, in a tenth of the time: frames share the sums of their blocks.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz, full scale is 1

    Returns
    -------
    (t,) float64, natural logarithm of the energy of each frame about its mean; t is 0 below 25 ms

    Examples
    --------
    >>> log_energy(np.tile([0.5, -0.5], 8000)).round(4)[:3]  # ln(400 x 16384^2)
    array([25.3996, 25.3996, 25.3996])
    """
    blocks = sound[: len(sound) // BLOCK * BLOCK].reshape(-1, BLOCK).astype(np.float64) * FULL_SCALE
    if len(blocks) < FRAME // BLOCK:
        return np.zeros(0)
    sums, squares = (
        np.lib.stride_tricks.sliding_window_view(of_blocks, FRAME // BLOCK)[:: HOP // BLOCK].sum(axis=1)
        for of_blocks in (blocks.sum(axis=1), np.square(blocks).sum(axis=1))
    )
    return np.log(np.maximum(squares - sums**2 / FRAME, np.finfo(np.float32).eps))


def energy_vad(log_energy: np.ndarray, threshold: float = 5.5, mean_scale: float = 0.5, context: int = 2,
               proportion: float = 0.12) -> np.ndarray:  # fmt: skip
    """Kaldi's `compute-vad`: a frame is speech where enough of its neighbours are louder than the threshold.

    The threshold is `threshold + mean_scale * mean(log_energy)`; defaults are those of Kaldi's VoxCeleb recipe.

    Parameters
    ----------
    log_energy : (t,) float
    context : neighbours on each side that vote
    proportion : share of the votes needed

    Returns
    -------
    (t,) float32 of 0 and 1

    Examples
    --------
    >>> energy_vad(np.array([0, 0, 0, 0, 20, 20, 0, 0, 0, 0.0])).astype(int)
    array([0, 0, 1, 1, 1, 1, 1, 1, 0, 0])
    """
    loud = (log_energy > threshold + mean_scale * log_energy.mean()).astype(np.float64)
    votes, voters = (
        np.convolve(values, np.ones(2 * context + 1))[context : context + len(loud)]
        for values in (loud, np.ones_like(loud))
    )
    return (votes >= proportion * voters).astype(np.float32)
