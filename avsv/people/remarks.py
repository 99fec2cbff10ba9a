"""Remarks on the quality of an embedded file, for the person who has to trust a decision on it.

Every remark rests on a measure that `avsv.embeddings.clip.embed` takes. The limits are ours. Of 767 recordings of
studio, telephone, television and acted speech, 1 % are called noisy and 1 % clipped, and 22 % have less than 3 s of
speech; of the faces of 467 pictures and videos, 1 % are called changing, 1 % several.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from avsv.scoring.verification import Clip

SPEECH = 3.0  # seconds; speaker encoders are trained on this much
SNR = 8.0  # dB, by `estimate_snr`
NO_PAUSES = -20.0  # dB, the value of `estimate_snr` for recordings of constant loudness
LEVEL = -55.0  # dB relative to full scale
CLIPPED = 0.002  # share of the samples at the peak
FACE = 50  # pixels; networks see 112, so smaller faces are enlarged more than twofold
SHARPNESS = 40.0  # variance of the Laplacian
BRIGHTNESS = 50.0  # of 255
AGREEMENT = 0.1  # cosine; lower for 82 % of pairs of different people, and within 1 % of clips of one person
UNCERTAIN = 0.6  # detector score; InsightFace's detectors accept from 0.5

NUMBERS = ("no", "one", "two", "three", "four", "five")


@dataclass(frozen=True)
class Remark:
    """A remark on one file.

    code : what it is about, for programs: no_voice, little_speech, noisy, steady, quiet, clipped, no_face, small_face,
        blurred, dark, uncertain_face, several_faces, or changing_face (the frames seem to show different people)
    text : for people, such as "face 40 px wide"
    """

    code: str
    text: str


def remarks(clip: Clip) -> list[str]:
    """Remarks on a file for people; `find_remarks` gives them with codes for programs.

    Examples
    --------
    >>> clip = Clip(quality={"voice": {"utt2dur": 2.5, "utt2speech": 0.8}, "face": {"utt2face_size": 40.3}},
    ...             observed={"face": {"in_view": 2}})
    >>> remarks(clip)
    ['2 s of speech', 'face 40 px wide', 'two faces in view: the larger, more central one used']
    """
    return [remark.text for remark in find_remarks(clip)]


def find_remarks(clip: Clip) -> list[Remark]:
    """Remarks on a file: what is missing, and which measures are beyond their limits.

    Parameters
    ----------
    clip : from `embed`

    Examples
    --------
    >>> find_remarks(Clip(absent={"voice": "a.mp4: the audio is silent, every sample is 0"}))
    [Remark(code='no_voice', text='no voice: a.mp4: the audio is silent, every sample is 0')]
    >>> find_remarks(Clip(quality={"voice": {"utt2dur": 9.0, "utt2speech": 0.8, "utt2snr": 20.0}}))
    []
    """
    measures = {modality: {**clip.quality.get(modality, {}), **clip.observed.get(modality, {})}
                for modality in ("voice", "face")}  # fmt: skip
    found = []
    for modality, of_modality in (("voice", of_voice), ("face", of_face)):
        if modality in clip.absent:
            found.append(Remark(f"no_{modality}", f"no {modality}: {clip.absent[modality]}"))
        found += of_modality(measures[modality])
    return found


def of_voice(measures: dict[str, float]) -> Iterator[Remark]:
    """Remarks on the measures of a voice, by name."""
    if "utt2dur" in measures and "utt2speech" in measures:
        seconds = measures["utt2dur"] * measures["utt2speech"]
        if seconds < SPEECH:
            yield Remark("little_speech", f"{seconds:.2g} s of speech")
    snr = measures.get("utt2snr", SNR)
    if snr <= NO_PAUSES:
        yield Remark("steady", "sound of constant loudness, without the pauses of speech")
    elif snr < SNR:
        yield Remark("noisy", f"noisy: signal-to-noise ratio about {snr:.0f} dB")
    if measures.get("level", 0.0) < LEVEL:
        yield Remark("quiet", f"almost silent: level {measures['level']:.0f} dB relative to full scale")
    if measures.get("clipped", 0.0) > CLIPPED:
        yield Remark("clipped", f"clipped: {100 * measures['clipped']:.2g} % of the samples at the peak")


def of_face(measures: dict[str, float]) -> Iterator[Remark]:
    """Remarks on the measures of a face, by name."""
    if measures.get("utt2face_size", FACE) < FACE:
        yield Remark("small_face", f"face {measures['utt2face_size']:.0f} px wide")
    if measures.get("utt2sharpness", SHARPNESS) < SHARPNESS:
        yield Remark("blurred", f"blurred face: sharpness {measures['utt2sharpness']:.0f}, expected {SHARPNESS:.0f} "
                                "or more")  # fmt: skip
    if measures.get("brightness", BRIGHTNESS) < BRIGHTNESS:
        yield Remark("dark", f"dark face: mean brightness {measures['brightness']:.0f} of 255")
    if measures.get("utt2face_score", UNCERTAIN) < UNCERTAIN:
        yield Remark("uncertain_face", f"perhaps not a face: detection score {measures['utt2face_score']:.2f}")
    in_view = int(measures.get("in_view", 1))
    if in_view > 1:
        count = NUMBERS[in_view] if in_view < len(NUMBERS) else str(in_view)
        yield Remark("several_faces", f"{count} faces in view: the larger, more central one used")
    if measures.get("agreement", 1.0) < AGREEMENT:
        yield Remark("changing_face", "the faces of its frames differ (cosine down to "
                                      f"{measures['agreement']:.2f}): perhaps two people")  # fmt: skip
