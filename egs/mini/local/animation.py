"""Animate a portrait in front of a background: head turns, nods, blinks and speech, with the key points of each frame.

The head is modelled as a relief: every point of the drawing has a depth, so near and far points move apart in a turn.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from canvas import ORIGIN, oval
from faces import POSE_SPREAD, Look, muted
from people import spread
from portrait import LIDS, OPENINGS, Portrait

SIDE = 160  # pixels of a frame
FPS = 25
_COARSE = 4  # the warp is computed on every fourth pixel


@dataclass(frozen=True)
class Pose:
    """Where the head is in one frame."""

    yaw: float
    pitch: float
    roll: float
    x: float
    y: float


def depth(x: np.ndarray, y: np.ndarray, shape: dict[str, float]) -> np.ndarray:
    """Return the depth (units, towards the camera) of the point x, y of the drawing."""
    head = 40 * np.exp(-((x / (1.25 * shape["width"])) ** 2) - (y / 95) ** 2) - 14
    nose = shape["nose_bump"] * np.exp(-((x / 10) ** 2) - ((y - shape["nose_y"] + 3) / 12) ** 2)
    return head + nose


def project(points: np.ndarray, pose: Pose, look: Look, shape: dict[str, float]) -> np.ndarray:
    """Project points (n, 2) of the drawing into the frame; returns pixels."""
    x, y = points[:, 0], points[:, 1]
    z = depth(x, y, shape)
    x, y = x * np.cos(pose.yaw) + z * np.sin(pose.yaw), y * np.cos(pose.pitch) + z * np.sin(pose.pitch)
    c, s = np.cos(pose.roll), np.sin(pose.roll)
    x, y = (c * x - s * y) * look.size * look.stretch, (s * x + c * y) * look.size / look.stretch
    return np.stack([x + pose.x, y + pose.y], axis=1)


def warp_map(pose: Pose, look: Look, shape: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the position in the drawing (pixels) of every pixel of the frame: the inverse of `project`."""
    grid = (np.arange(SIDE // _COARSE, dtype=np.float32) + 0.5) * _COARSE - 0.5
    x, y = np.meshgrid(grid - pose.x, grid - pose.y)
    x, y = x / (look.size * look.stretch), y / (look.size / look.stretch)
    c, s = np.cos(pose.roll), np.sin(pose.roll)
    seen_x, seen_y = c * x + s * y, -s * x + c * y
    cos_yaw, sin_yaw, cos_pitch, sin_pitch = np.float32(
        [np.cos(pose.yaw), np.sin(pose.yaw), np.cos(pose.pitch), np.sin(pose.pitch)]
    )
    x, y = seen_x / cos_yaw, seen_y / cos_pitch
    for _ in range(3):  # depth depends on the unknown point; a few iterations converge
        z = depth(x, y, shape)
        x, y = (seen_x - z * sin_yaw) / cos_yaw, (seen_y - z * sin_pitch) / cos_pitch
    size = (SIDE, SIDE)
    x, y = (x + ORIGIN[0] - 0.5).astype(np.float32), (y + ORIGIN[1] - 0.5).astype(np.float32)
    return cv2.resize(x, size), cv2.resize(y, size)


def background(look: Look, rng: np.random.Generator) -> np.ndarray:
    """Return the session's background, (SIDE, SIDE, 3) float32."""
    place = np.random.default_rng(look.background_seed)
    top, bottom = muted(place.uniform(25, 225, (2, 3)))
    ramp = np.linspace(0, 1, SIDE)[:, None, None]
    image = np.broadcast_to(top * (1 - ramp) + bottom * ramp, (SIDE, SIDE, 3)).astype(np.float32).copy()
    shift = 3 * rng.normal(size=2)  # the camera position differs slightly in every clip
    for _ in range(place.integers(3, 9)):
        colour, centre, axes = (
            muted(place.uniform(15, 240, 3)),
            place.uniform(0, SIDE, 2) + shift,
            place.uniform(6, 45, 2),
        )
        if place.uniform() < 0.5:
            points = oval(centre, axes)
        else:
            points = centre + axes * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        cv2.fillPoly(image, np.round(points * 16).astype(np.int32)[None], colour, cv2.LINE_AA, 4)
    image = cv2.GaussianBlur(image, (0, 0), place.uniform(1, 6))
    return image * look.exposure**0.5 * look.colour.astype(np.float32)


def body(image: np.ndarray, look: Look, skin: np.ndarray, shape: dict[str, float], pose: Pose) -> None:
    """Draw neck and shoulders below the head, in place."""
    k = look.size
    chin = pose.y + shape["bottom"] * k
    x, wide = pose.x, shape["width"] * k
    gain = look.exposure * look.colour

    def fill(points: list, colour: np.ndarray) -> None:
        cv2.fillPoly(image, np.round(np.array(points) * 16).astype(np.int32)[None], colour * gain, cv2.LINE_AA, 4)

    neck = 0.62 * wide
    fill(
        [(x - neck, chin - 28), (x + neck, chin - 28), (x + neck * 1.15, SIDE + 40), (x - neck * 1.15, SIDE + 40)],
        skin * 0.72,
    )
    slope = chin + 12
    fill([(x - 2.3 * wide, SIDE + 60), (x - 2.0 * wide, slope + 16), (x - neck * 1.1, slope - 4), (x, slope + 14),
          (x + neck * 1.1, slope - 4), (x + 2.0 * wide, slope + 16), (x + 2.3 * wide, SIDE + 60)],
         look.clothes)  # fmt: skip


def poses(look: Look, frames: int, rng: np.random.Generator) -> list[Pose]:
    """Return slow head motion: sines of random frequency around the session's pose."""
    t = np.arange(frames) / FPS
    middle = np.array([look.yaw, look.pitch, look.roll, 0, 0])
    middle[:3] += POSE_SPREAD * np.array([0.10, 0.05, 0.03]) * spread(rng, 3)
    swing = POSE_SPREAD * np.array([0.055, 0.035, 0.02, 1.3, 1.0])
    path = middle + sum(
        swing * spread(rng, 5) * np.sin(2 * np.pi * rng.uniform(0.15, 0.9) * t[:, None] + rng.uniform(0, 6.3, 5))
        for _ in range(2)
    )
    path[:, 0] = np.clip(path[:, 0], -0.45, 0.45)
    path[:, 1] = np.clip(path[:, 1], -0.28, 0.28)
    path[:, 3:] += np.array([SIDE / 2, SIDE * 0.47]) + look.place
    return [Pose(*map(float, row)) for row in path]


def blinks(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return the state of the eyelids (0 open ... LIDS - 1 shut) in every frame."""
    lids = np.zeros(frames, int)
    at = int(rng.uniform(5, 60))
    while at < frames:
        for offset, state in enumerate((1, LIDS - 1, LIDS - 1, 2, 1)):
            if at + offset < frames:
                lids[at + offset] = state
        at += int(rng.uniform(40, 110))
    return lids


def film(portrait: Portrait, look: Look, skin: np.ndarray, opening: np.ndarray, rng: np.random.Generator):
    """Yield, for every frame, the image (SIDE, SIDE, 3) uint8, the box (x, y, width, height) and five key points."""
    path = poses(look, len(opening), rng)
    lids = blinks(len(opening), rng)
    states = np.round(opening * (OPENINGS - 1)).astype(int)
    behind = background(look, rng)
    body(behind, look, skin, portrait.shape, path[len(path) // 2])
    behind = np.clip(cv2.GaussianBlur(behind, (0, 0), 0.7), 0, 255).astype(np.uint8)
    grain = [np.round(look.noise * rng.normal(size=(SIDE, SIDE))).astype(np.int16) for _ in range(3)]
    grain = [cv2.merge([g] * 3) for g in grain]
    for i, pose in enumerate(path):
        x, y = warp_map(pose, look, portrait.shape)
        *colours, alpha = cv2.split(cv2.remap(portrait.frame(lids[i], states[i]), x, y, cv2.INTER_LINEAR))
        free = cv2.bitwise_not(alpha)  # 255 - alpha: visibility of the background
        image = cv2.add(cv2.multiply(behind, cv2.merge([free] * 3), scale=1 / 255), cv2.merge(colours))
        if look.blur > 0.2:
            image = cv2.GaussianBlur(image, (5, 5), look.blur)
        image = cv2.add(image, grain[i % 3], dtype=cv2.CV_8U)
        outline = project(portrait.outline, pose, look, portrait.shape)
        low, high = np.clip(outline.min(axis=0), 0, SIDE - 1), np.clip(outline.max(axis=0), 0, SIDE - 1)
        points = project(portrait.points, pose, look, portrait.shape)
        yield image, np.concatenate([low, high - low]), points
