"""Faces: the properties of a person, and their variation between sessions and clips.

Lengths are in units of the drawing: the face is about 104 wide and 128 high; the eye line is y = 0 and y grows down.
The constants at the top set the difficulty of the face task.
"""

from dataclasses import dataclass

import numpy as np
from people import Traits, spread

FACE_SPREAD = 1.5  # variation between people (1 = as set below; larger is easier)
FACE_DRIFT = 0.5  # apparent variation within one person (lens, weight, expression)
LIGHT_SPREAD = 0.55  # variation of light, exposure and colour temperature between sessions
POSE_SPREAD = 0.65  # range of head rotation
DISGUISE = 0.4  # rate at which glasses, hair and beard change between sessions (1 = as set below, 0 = never)

# Blue, green, red from the lightest to the darkest, as OpenCV orders them
SKINS = np.array(
    [(178, 202, 234), (152, 182, 224), (128, 164, 212), (92, 124, 178), (62, 86, 136), (42, 58, 96)], float
)
HAIRS = np.array([(28, 26, 30), (30, 42, 62), (38, 62, 98), (62, 106, 150), (104, 160, 204), (44, 76, 158)], float)
GREY = np.array((196, 196, 198.0))
IRISES = np.array([(30, 44, 70), (44, 74, 108), (70, 110, 96), (140, 120, 84), (170, 140, 100), (110, 112, 108)], float)
LIPS = np.array([(120, 120, 190), (96, 92, 176), (110, 116, 168), (70, 66, 168)], float)
FRONTS = ("bald", "buzz", "side", "fringe", "part", "receding", "swept", "curly")
BACKS = ("none", "bob", "long", "bun")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")


@dataclass(frozen=True)
class Face:
    """The face of a person."""

    shape: dict[str, float]  # lengths, see SHAPE
    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    front: str  # of FRONTS
    back: str  # of BACKS
    beard: str  # of BEARDS
    glasses: float  # probability of wearing them in a session
    frame: tuple[float, float, float]  # width, height, squareness of the glasses
    frame_colour: np.ndarray
    makeup: float
    freckles: float
    moles: np.ndarray  # (n, 3) x, y, radius
    wrinkles: float
    texture_seed: int


# name: (mean of men, mean of women, standard deviation)
SHAPE = {
    "width": (51.5, 48.5, 2.6),  # half, at the cheekbones
    "temple": (0.93, 0.94, 0.03),  # of width
    "jaw": (0.87, 0.78, 0.055),  # of width
    "chin": (0.46, 0.37, 0.06),  # of width
    "top": (61.0, 60.0, 3.5),  # eye line to crown
    "bottom": (68.0, 62.5, 3.8),  # eye line to chin
    "eye_gap": (22.6, 22.2, 1.5),  # half the distance between the eyes
    "eye_width": (10.0, 10.9, 0.9),  # half
    "eye_height": (4.5, 5.5, 0.75),  # half
    "eye_tilt": (0.0, 0.05, 0.07),  # radians
    "iris": (4.7, 5.0, 0.35),
    "lid": (3.2, 2.8, 0.9),  # eye to crease
    "brow_y": (-13.0, -14.5, 1.7),
    "brow_width": (12.5, 12.0, 1.2),
    "brow_thick": (2.7, 1.7, 0.55),
    "brow_arch": (2.0, 3.2, 1.2),
    "brow_tilt": (0.0, 0.02, 0.09),
    "brow_dark": (0.75, 0.65, 0.15),
    "nose_y": (25.5, 23.0, 2.4),
    "nose_width": (10.0, 8.4, 1.3),  # half
    "nose_bridge": (4.2, 3.4, 0.7),
    "nose_tip": (5.5, 4.6, 0.9),
    "nose_bump": (9.0, 7.5, 1.2),  # protrusion
    "mouth_y": (42.5, 39.0, 2.2),
    "mouth_width": (18.0, 16.5, 1.7),  # half
    "upper_lip": (2.9, 3.6, 0.8),
    "lower_lip": (4.4, 5.0, 0.9),
    "bow": (1.1, 1.5, 0.5),
    "mouth_curve": (0.0, 0.6, 1.0),
    "ear": (9.5, 8.0, 1.3),
    "ear_y": (8.0, 8.0, 2.5),
    "hairline": (0.68, 0.70, 0.05),  # of top
    "hair_volume": (6.0, 9.0, 2.2),
    "part": (0.0, 0.0, 0.45),
    "cheek": (0.0, 0.0, 1.0),  # hollow ... full
    "chin_cleft": (0.2, 0.0, 0.5),
}


def between(palette: np.ndarray, position: float) -> np.ndarray:
    """Return the colour at `position` (0 to 1) along `palette`."""
    at = float(np.clip(position, 0, 1)) * (len(palette) - 1)
    return np.array([np.interp(at, np.arange(len(palette)), palette[:, c]) for c in range(3)])


def muted(colour: np.ndarray) -> np.ndarray:
    """Return `colour` mixed half and half with grey, for natural-looking surfaces."""
    return 0.5 * colour + 0.5 * colour.mean(axis=-1, keepdims=True)


def draw_face(traits: Traits, rng: np.random.Generator, show: float = 1.0) -> Face:
    """Draw a person's face: gender, age and build shift its mean (scaled by `show`); the rest is random."""
    male, age, build = traits.gender == "m", traits.ageing, show * traits.build
    apart, older = (show - 1) / 2 * (1 if male else -1), show * (age - 0.4)
    shape = {name: (men if male else women) + apart * (men - women) + FACE_SPREAD * deviation * float(spread(rng))
             for name, (men, women, deviation) in SHAPE.items()}  # fmt: skip
    # A heavy build shows in width and jaw; age in thin lips, low brows and a long nose and ears.
    shape["width"] += 1.6 * build
    shape["jaw"] += 0.03 * build
    shape["chin"] += 0.02 * build
    shape["cheek"] += 0.5 * build - 0.6 * older
    for name, change in (("upper_lip", -1.0), ("lower_lip", -0.8), ("nose_y", 1.5), ("ear", 1.5), ("eye_height", -0.7),
                         ("brow_y", 1.2), ("lid", 0.8), ("mouth_curve", -1.0)):  # fmt: skip
        shape[name] += change * older
    for name, least in (("eye_height", 2.8), ("brow_thick", 0.8), ("upper_lip", 1.0), ("lower_lip", 1.8), ("lid", 1.2)):
        shape[name] = max(shape[name], least)

    skin_place = rng.uniform()
    hair = between(HAIRS, rng.beta(0.8, 1.4) if skin_place < 0.6 else 0.15 * rng.uniform())
    grey = np.clip((age - 0.3) * 2 * rng.uniform(0.3, 1.4), 0, 0.95)
    balding = male and rng.uniform() < 0.15 + 0.5 * age
    if balding:
        front = str(rng.choice(["bald", "receding", "buzz"]))
    else:
        front = str(rng.choice(["buzz", "side", "part", "swept", "curly", "fringe"] if male
                               else ["side", "fringe", "part", "part", "swept", "curly"]))  # fmt: skip
    back = "none" if male and rng.uniform() < 0.92 else str(rng.choice(BACKS, p=[0.2, 0.3, 0.35, 0.15]))
    beards = [0.45, 0.2, 0.1, 0.1, 0.15] if male else [1, 0, 0, 0, 0]
    return Face(
        shape=shape,
        skin=np.clip(between(SKINS, skin_place) * (1 + 0.045 * spread(rng, 3)), 0, 250),
        hair=(1 - grey) * np.clip(hair * (1 + 0.15 * spread(rng, 3)), 8, 235) + grey * GREY,
        iris=between(IRISES, rng.uniform()),
        lips=between(LIPS, rng.uniform()),
        front=front,
        back="none" if front in ("bald", "buzz") and male else back,
        beard=str(rng.choice(BEARDS, p=beards)),
        glasses=float(rng.choice([0.0, 0.5, 0.85], p=[0.5, 0.25, 0.25])),
        frame=(float(rng.uniform(13, 18)), float(rng.uniform(9, 14)), float(rng.uniform(2, 6))),
        frame_colour=rng.uniform(10, 150, 3),
        makeup=0.0 if male else float(rng.uniform(0, 1)),
        freckles=float(rng.uniform(0.4, 1)) if rng.uniform() < 0.15 else 0.0,
        moles=rng.uniform([-38, -20, 0.8], [38, 55, 1.6], (int(rng.poisson(0.5)), 3)),
        wrinkles=float(np.clip(1.5 * (age - 0.35) * rng.uniform(0.6, 1.4), 0, 1)),
        texture_seed=int(rng.integers(2**31)),
    )


@dataclass(frozen=True)
class Look:
    """A person in one session: clothes, light, camera and place."""

    front: str
    back: str
    beard: str
    hair: np.ndarray
    glasses: bool
    frame_scale: float
    cap: np.ndarray | None  # colour
    clothes: np.ndarray
    volume: float  # hair, times
    light: np.ndarray  # (3,) direction: right, down, towards the camera
    contrast: float  # of the light
    exposure: float
    colour: np.ndarray  # (3,) gain of blue, green, red
    yaw: float
    pitch: float
    roll: float
    size: float  # pixels a unit
    stretch: float  # the lens: width against height
    place: np.ndarray  # (2,) of the head, pixels from the middle
    blur: float
    noise: float
    background_seed: int


def draw_look(face: Face, traits: Traits, rng: np.random.Generator) -> Look:
    """Draw the variation of one session."""
    male = traits.gender == "m"
    changes = rng.uniform(size=6) < DISGUISE * np.array([0.25, 0.3, 0.3, 0.12, 0.08, 0.25])
    near = {"none": "stubble", "stubble": "none", "moustache": "stubble", "goatee": "stubble", "full": "goatee"}
    fronts = {"bald": "bald", "buzz": "buzz", "receding": "buzz", "curly": "swept"}
    front = fronts.get(face.front, str(rng.choice(["side", "fringe", "part", "swept"]))) if changes[0] else face.front
    back = str(rng.choice(BACKS)) if changes[1] and not male else face.back
    hair = between(HAIRS, rng.uniform()) * (1 + 0.1 * spread(rng, 3)) if changes[3] else face.hair
    wears = rng.uniform() < face.glasses if DISGUISE > 0 else face.glasses > 0.4
    light = np.array([rng.uniform(-1, 1), rng.uniform(-0.9, 0.2), rng.uniform(0.5, 1.2)])
    warm = 0.075 * LIGHT_SPREAD * float(spread(rng))
    return Look(
        front=front,
        back=back,
        beard=near[face.beard] if male and changes[2] else face.beard,
        hair=np.clip(hair, 5, 240),
        glasses=bool(wears),
        frame_scale=float(rng.uniform(0.85, 1.2)) if changes[5] else 1.0,
        cap=muted(rng.uniform(20, 210, 3)) if changes[4] else None,
        clothes=muted(rng.uniform(20, 220, 3)),
        volume=float(np.exp(0.2 * spread(rng))),
        light=light / np.linalg.norm(light),
        contrast=float(np.clip(0.38 * LIGHT_SPREAD * rng.uniform(0.3, 1.7), 0, 0.8)),
        exposure=float(min(np.exp(0.17 * LIGHT_SPREAD * spread(rng)), 1.22)),  # higher values saturate fair skin
        colour=np.exp(np.array([-1.0, 0.15, 0.9]) * warm + 0.03 * LIGHT_SPREAD * spread(rng, 3)),
        yaw=float(0.16 * POSE_SPREAD * spread(rng)),
        pitch=float(0.08 * POSE_SPREAD * spread(rng)),
        roll=float(0.06 * POSE_SPREAD * spread(rng)),
        size=float(0.80 * np.exp(0.09 * spread(rng))),
        stretch=float(np.exp(0.018 * FACE_DRIFT * spread(rng))),
        place=4.5 * spread(rng, 2),
        blur=float(np.clip(0.45 + 0.3 * spread(rng), 0, 1.2)),
        noise=float(rng.uniform(0.5, 4.5)),
        background_seed=int(rng.integers(2**31)),
    )


@dataclass(frozen=True)
class Expression:
    """A face in one clip."""

    shape: dict[str, float]  # of the person, varied for this clip
    smile: float
    gaze: np.ndarray  # (2,)
    openness: float  # of the eyes


def draw_expression(face: Face, rng: np.random.Generator) -> Expression:
    """Draw a clip's expression; all lengths vary slightly, as they do between any two images of a face."""
    shape = {
        name: value + FACE_DRIFT * 0.22 * SHAPE[name][2] * float(spread(rng)) for name, value in face.shape.items()
    }
    shape["brow_y"] += FACE_DRIFT * 1.4 * float(spread(rng))
    shape["brow_tilt"] += FACE_DRIFT * 0.07 * float(spread(rng))
    shape["brow_arch"] += FACE_DRIFT * 0.5 * float(spread(rng))
    smile = float(np.clip(1.6 * spread(rng), -1.5, 3.2))
    shape["mouth_width"] *= 1 + 0.03 * FACE_DRIFT * smile
    return Expression(
        shape=shape,
        smile=smile,
        gaze=np.array([1.5, 0.6]) * spread(rng, 2),
        openness=float(np.exp(0.10 * FACE_DRIFT * spread(rng))),
    )
