"""Quality measures of a clip's audio and faces, for calibration and for results by subset.

embed-voice and embed-face measure the audio and faces that they embed, after any damage, and write a table `utt value`
per measure. A clip without the modality has no line.
"""

from math import log10

import cv2
import numpy as np

from avsv.features.faces import ClipFaces
from avsv.features.fbank import FRAME, RATE, energy_vad, log_energy

# utt2magnitude, the norm of the embedding, is written by the code that embeds
VOICE_TABLES = ("utt2dur", "utt2speech", "utt2snr", "utt2magnitude")
DETECTION_TABLES = ("utt2face_score", "utt2face_size")
FACE_TABLES = (*DETECTION_TABLES, "utt2sharpness", "utt2num_faces", "utt2magnitude")
FACE_QUALITY = "utt2face_quality"  # only from packs with a quality network
TABLES = tuple(sorted({*VOICE_TABLES, *FACE_TABLES, FACE_QUALITY}))

FLOOR = 20  # percentile of the frames' power that is taken as the noise power
LEAST_SNR = -20.0  # dB; reached by recordings of constant loudness, which have no pauses
ROUNDING = FRAME / 12  # energy per frame of 16-bit rounding errors; no recording is quieter


def voice_quality(waveform: np.ndarray) -> dict[str, float]:
    """Measures of a waveform, by table: duration in s, share of speech frames, signal-to-noise ratio in dB.

    `energy_vad` finds the speech frames. Its threshold follows the clip's mean, so under loud noise every frame counts.

    Parameters
    ----------
    waveform : (n,) float32 at 16 kHz, at least one frame of 25 ms

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> waveform = rng.normal(size=32000) * np.where(np.arange(32000) < 16000, 0.1, 0.001)
    >>> {name: round(value, 1) for name, value in voice_quality(waveform.astype(np.float32)).items()}
    {'utt2dur': 2.0, 'utt2speech': 0.5, 'utt2snr': 37.1}
    """
    energies = log_energy(waveform)
    speech = float(energy_vad(energies).mean())
    return {"utt2dur": len(waveform) / RATE, "utt2speech": speech, "utt2snr": estimate_snr(energies)}


def estimate_snr(log_energies: np.ndarray) -> float:
    """Signal-to-noise ratio from a clip's frame energies: mean power divided by the power of quiet frames, minus one.

    Speech has pauses, so its quietest frames contain only noise; their 20th percentile is taken as the noise power.
    This is our own measure, meant for comparing clips. On real voices with noise, music or babble added at -5 to 20 dB,
    its median from 0 dB up is within 4 dB of the true value, too high for loud noise and too low for soft noise; the
    rank correlation with the true value is 0.93, against 0.92 for WADA-SNR (Kim and Stern, Interspeech 2008). Taking
    the noise from frames without speech, as textbooks do, fails here: at such ratios the energy VAD finds no such frame
    in most clips.

    Parameters
    ----------
    log_energies : (t,) float, t >= 1, from `log_energy`

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


def audio_condition(waveform: np.ndarray) -> dict[str, float]:
    """Level in dB relative to full scale, and share of samples within 1 % of the peak: `level` and `clipped`.

    Undamaged speech reaches its peak in a few of 100,000 samples; overdriven speech stays there.

    Parameters
    ----------
    waveform : (n,) float32, not all zero

    Examples
    --------
    >>> audio_condition(np.array([0.1, -0.1, 0.1, 0.05], np.float32))
    {'level': -20.9, 'clipped': 0.75}
    """
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    loudness = np.abs(waveform)
    return {"level": round(10 * log10(power), 1), "clipped": float((loudness >= 0.99 * loudness.max()).mean())}


def faces_condition(faces: ClipFaces, embeddings: np.ndarray) -> dict[str, float]:
    """Brightness of a clip's faces, how many are in view, and how similar the faces of its frames are.

    Parameters
    ----------
    embeddings : (n, d) float, of the faces

    Returns
    -------
    brightness : mean grey value of the aligned faces, 0 to 255
    in_view : most faces in one frame, see `Detection`; absent for faces from an archive
    agreement : lowest cosine of the faces of two frames; absent for a single face

    Examples
    --------
    >>> images = np.full((2, 112, 112, 3), 30, np.uint8)
    >>> faces_condition(ClipFaces(images, in_view=np.array([1, 2])), np.array([[2.0, 0.0], [3.0, 4.0]]))
    {'brightness': 30.0, 'in_view': 2, 'agreement': 0.6}
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean() for image in faces.images]
    measures = {"brightness": float(np.mean(grey))}
    if faces.in_view is not None:
        measures["in_view"] = int(faces.in_view.max())
    if len(embeddings) > 1:
        unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
        measures["agreement"] = round(float((unit @ unit.T).min()), 4)
    return measures


def face_quality(faces: ClipFaces) -> dict[str, float]:
    """Measures of a clip's faces, by table: mean detector score, size in pixels, sharpness and quality; their number.

    Score and size belong to the face in the original image and are absent for faces from an archive; sharpness and
    quality are measured on the aligned faces, quality only if the pack has a network for it.

    Examples
    --------
    >>> face_quality(ClipFaces(np.zeros((2, 112, 112, 3), np.uint8)))
    {'utt2sharpness': 0.0, 'utt2num_faces': 2}
    """
    measures = {}
    if faces.scores is not None:
        measures |= {"utt2face_score": float(faces.scores.mean()), "utt2face_size": float(faces.sizes.mean())}
    if faces.quality is not None:
        measures[FACE_QUALITY] = float(faces.quality.mean())
    return measures | {"utt2sharpness": float(sharpness(faces.images).mean()), "utt2num_faces": len(faces.images)}


def sharpness(faces: np.ndarray) -> np.ndarray:
    """Variance of the Laplacian of each grey face: low for defocus, motion blur and enlargement.

    One of the focus measures compared by Pertuz et al., Pattern Recognition 2013.

    Parameters
    ----------
    faces : (n, h, w, 3) uint8 BGR

    Returns
    -------
    (n,) float
    """
    grey = (cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in faces)
    return np.array([cv2.Laplacian(face, cv2.CV_32F).var(dtype=np.float64) for face in grey])
