"""Damage to aligned faces, for noisy test sets and, at other severities, for augmentation.

Severities are in pixels of a 112 x 112 aligned face. Damage is described by a record {"modality": "face", "kind": ...,
parameters}, stored as JSON in the table utt2damage; the same record always does the same damage. To add a kind, write a
function and add a line to each of the tables KINDS and DRAW.
"""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.features.faces import SIDE


def gaussian_blur(face: np.ndarray, sigma: float, size: int = 0) -> np.ndarray:
    """Defocus.

    Parameters
    ----------
    sigma : standard deviation of the Gaussian, pixels
    size : side of the kernel, odd, pixels; 0 for one wide enough for sigma
    """
    require(0 < sigma <= SIDE, "sigma is above 0 and at most 112 pixels")
    require(size == 0 or (size % 2 == 1 and 1 <= size <= SIDE), "size is 0, or odd and at most 111 pixels")
    return cv2.GaussianBlur(face, (size, size), sigma, borderType=cv2.BORDER_REPLICATE)


def motion_blur_vertical(face: np.ndarray, length: float) -> np.ndarray:
    """Vertical motion by `length` pixels during exposure."""
    return cv2.filter2D(face, -1, streak(length)[:, None], borderType=cv2.BORDER_REPLICATE)


def motion_blur_horizontal(face: np.ndarray, length: float) -> np.ndarray:
    """Horizontal motion by `length` pixels during exposure."""
    return cv2.filter2D(face, -1, streak(length)[None, :], borderType=cv2.BORDER_REPLICATE)


def streak(length: float) -> np.ndarray:
    """Centred box filter of `length` pixels, with fractional weights at its ends: (odd,) float32, sum 1.

    Examples
    --------
    >>> streak(2.0)
    array([0.25, 0.5 , 0.25], dtype=float32)
    """
    require(1 <= length <= SIDE, "length is 1 to 112 pixels")
    reach = int(np.ceil((length - 1) / 2))
    inside = np.clip(length / 2 - np.abs(np.arange(-reach, reach + 1)) + 0.5, 0, 1)
    return (inside / inside.sum()).astype(np.float32)


def occlusion(face: np.ndarray, share: float, aspect: float, x: float, y: float, fill: str, seed: int) -> np.ndarray:
    """A box that hides part of the face.

    Parameters
    ----------
    share : area of the box as a share of the image, 0 to 1
    aspect : width / height of the box
    x, y : position, 0 (left, top) to 1 (right, bottom); the box always lies inside the image
    fill : "plain" (one colour) or "noise" (a random colour per pixel)
    seed : of the colours
    """
    require(0 < share <= 1 and 0 <= x <= 1 and 0 <= y <= 1, "share, x and y are between 0 and 1")
    require(aspect > 0 and fill in ("plain", "noise"), 'aspect is above 0, fill is "plain" or "noise"')
    height, width = face.shape[:2]
    area = share * height * width
    box_w = min(width, max(1, round((area * aspect) ** 0.5)))
    box_h = min(height, max(1, round(area / box_w)))
    left, top = round(x * (width - box_w)), round(y * (height - box_h))
    size = (box_h, box_w, 3) if fill == "noise" else (1, 1, 3)
    damaged = face.copy()
    damaged[top : top + box_h, left : left + box_w] = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    return damaged


def down_scaling(face: np.ndarray, side: int) -> np.ndarray:
    """A distant face: scaled down to `side` x `side` pixels and up again bilinearly, as alignment does."""
    require(1 <= side <= SIDE, "side is 1 to 112 pixels")
    small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, face.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def low_light(face: np.ndarray, light: float, photons: float, seed: int) -> np.ndarray:
    """A dark and grainy image: less light on the sensor, and photon shot noise.

    Parameters
    ----------
    light : remaining share of the light, 0 to 1, in linear light (pixel values to the power 2.2)
    photons : photons counted by a white pixel at full light
    seed : of the noise; the image enters the seed as well, so the frames of a clip get different noise
    """
    require(0 < light <= 1 and photons > 0, "light is above 0 and at most 1, photons are above 0")
    expected = (face / 255.0) ** 2.2 * (light * photons)
    counted = np.random.default_rng([seed, int(face.sum())]).poisson(expected) / photons
    return np.round(255 * np.minimum(counted, 1) ** (1 / 2.2)).astype(np.uint8)


def jpeg(face: np.ndarray, quality: int) -> np.ndarray:
    """JPEG artefacts; `quality` is libjpeg's, 1 to 100."""
    require(1 <= quality <= 100, "quality is 1 to 100")
    _, compressed = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return cv2.imdecode(compressed, cv2.IMREAD_COLOR)


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(rule)


def draw_blur(rng: np.random.Generator, sigma: tuple[float, float] = (2.0, 5.0), size: int = 0) -> dict[str, Any]:
    return {"sigma": round(rng.uniform(*sigma), 3), **({"size": size} if size else {})}


def draw_motion(rng: np.random.Generator, length: tuple[float, float] = (10.0, 20.0)) -> dict[str, Any]:
    return {"length": round(rng.uniform(*length), 3)}


def draw_occlusion(rng: np.random.Generator, share: tuple[float, float] = (0.15, 0.30)) -> dict[str, Any]:
    # a share of the whole aligned image, which the face fills; the aspect, exp(-0.4) to exp(0.4), is our choice
    x, y = (round(rng.uniform(0, 1), 3) for _ in range(2))
    return {
        "share": round(rng.uniform(*share), 4),
        "aspect": round(float(np.exp(rng.uniform(-0.4, 0.4))), 3),
        "x": x,
        "y": y,
        "fill": str(rng.choice(["plain", "noise"])),
        "seed": int(rng.integers(1 << 31)),
    }


def draw_side(rng: np.random.Generator, side: tuple[int, int] = (10, 20)) -> dict[str, Any]:
    return {"side": int(rng.integers(side[0], side[1] + 1))}


def draw_light(rng: np.random.Generator, light: tuple[float, float] = (0.005, 0.02)) -> dict[str, Any]:
    # a white pixel of a well-lit image counts 1,000 photons on a phone's small sensor; our choice
    return {"light": round(rng.uniform(*light), 4), "photons": 1000, "seed": int(rng.integers(1 << 31))}


def draw_quality(rng: np.random.Generator, quality: tuple[int, int] = (3, 10)) -> dict[str, Any]:
    return {"quality": int(rng.integers(quality[0], quality[1] + 1))}


# kind -> function that applies it
KINDS: dict[str, Callable[..., np.ndarray]] = {
    "gaussian-blur": gaussian_blur,
    "motion-blur-vertical": motion_blur_vertical,
    "motion-blur-horizontal": motion_blur_horizontal,
    "occlusion": occlusion,
    "down-scaling": down_scaling,
    "low-light": low_light,
    "jpeg": jpeg,
}
# kind -> function that draws its parameters; its keyword arguments are the severity
DRAW: dict[str, Callable[..., dict[str, Any]]] = {
    "gaussian-blur": draw_blur,
    "motion-blur-vertical": draw_motion,
    "motion-blur-horizontal": draw_motion,
    "occlusion": draw_occlusion,
    "down-scaling": draw_side,
    "low-light": draw_light,
    "jpeg": draw_quality,
}
# damage to the face in the noisy test sets (Qian et al., TASLP 2021), at our default severities above
NOISY: dict[str, dict[str, Any]] = {
    "gaussian-blur": {},
    "motion-blur-vertical": {},
    "motion-blur-horizontal": {},
    "occlusion": {},
}


def draw_face_damage(rng: np.random.Generator, kinds: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Draw a kind of damage, uniformly, and its parameters.

    Parameters
    ----------
    rng : the only source of randomness
    kinds : kind -> severity, such as {"gaussian-blur": {"sigma": (0.5, 2)}}, or {} for the kind's default severity;
        None for the kinds of the noisy test sets

    Returns
    -------
    the JSON-compatible record {"modality": "face", "kind": ..., parameters}

    Raises
    ------
    InputError : an unknown kind, or a severity that does not fit the kind

    Examples
    --------
    >>> draw_face_damage(np.random.default_rng(1), {"gaussian-blur": {"sigma": (2, 5)}})
    {'modality': 'face', 'kind': 'gaussian-blur', 'sigma': 3.535}
    """
    severities = NOISY if kinds is None else kinds
    kind = str(rng.choice(list(severities)))
    if kind not in DRAW:
        raise InputError(f'unknown face damage "{kind}"; expected one of {", ".join(DRAW)}')
    try:
        return {"modality": "face", "kind": kind, **DRAW[kind](rng, **severities[kind])}
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f'severity of face damage "{kind}", {severities[kind]}: {error}') from None


def check_severities(kinds: Mapping[str, Mapping[str, Any]]) -> None:
    """Try each kind at its severity on one face; raises InputError if a severity is impossible."""
    face, rng = np.zeros((SIDE, SIDE, 3), np.uint8), np.random.default_rng(0)
    for kind, severity in kinds.items():
        if not isinstance(severity, Mapping):
            raise InputError(f'face damage "{kind}": expected a severity such as {{}}, found {severity!r}')
        damage_faces(face[None], draw_face_damage(rng, {kind: severity}))


def damage_face(face: np.ndarray, kind: str, parameters: Mapping[str, Any]) -> np.ndarray:
    """Damage one aligned face; the result depends on the arguments alone.

    Parameters
    ----------
    face : (112, 112, 3) uint8; at another size, severities are in that image's own pixels
    parameters : keyword arguments of the kind's function

    Returns
    -------
    (112, 112, 3) uint8, a new array

    Raises
    ------
    InputError : an unknown kind, a missing or superfluous parameter, or a value out of range

    Examples
    --------
    >>> damage_face(np.zeros((112, 112, 3), np.uint8), "gaussian-blur", {"sigma": 2.0}).shape
    (112, 112, 3)
    """
    if kind not in KINDS:
        raise InputError(f'unknown face damage "{kind}"; expected one of {", ".join(KINDS)}')
    try:
        return KINDS[kind](face, **parameters)
    except (TypeError, ValueError, cv2.error) as error:
        raise InputError(f'face damage "{kind}" with {dict(parameters)}: {error}') from None


def damage_faces(faces: np.ndarray, damage: Mapping[str, Any]) -> np.ndarray:
    """Damage all faces of a clip in the same way, as a bad lens or a hand in front of the face would.

    Parameters
    ----------
    faces : (n, 112, 112, 3) uint8
    damage : a record of utt2damage; "frames" limits the damage to that share of the faces, at least one, which the
        seed "order" selects

    Examples
    --------
    >>> blur = {"modality": "face", "kind": "jpeg", "quality": 3, "frames": 0.5, "order": 0}
    >>> grey = np.arange(112, dtype=np.uint8)[:, None, None] * np.ones((4, 1, 112, 3), np.uint8)
    >>> sorted((damage_faces(grey, blur) == grey).all(axis=(1, 2, 3)).tolist())
    [False, False, True, True]
    """
    assert faces.shape[1:3] == (SIDE, SIDE)
    parameters = {key: value for key, value in damage.items() if key not in ("modality", "kind", "frames", "order")}
    hit = np.ones(len(faces), bool)
    if "frames" in damage:
        order = np.random.default_rng(damage.get("order", 0)).permutation(len(faces))
        hit = order < max(1, round(damage["frames"] * len(faces)))
    return np.stack([damage_face(f, damage["kind"], parameters) if h else f for f, h in zip(faces, hit, strict=True)])
