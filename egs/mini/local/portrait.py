"""The portrait for one clip: a frontal image of the head, with images of the eyes and mouth in every state."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from canvas import FINE, ORIGIN, UNITS, Canvas, smooth
from faces import Expression, Face, Look
from features import Features
from hair import Hair

LIDS = 4  # drawn states of the eyes, from open to shut
OPENINGS = 7  # drawn states of the mouth, from shut to wide open


@dataclass(frozen=True)
class Portrait:
    """Premultiplied image with alpha, UNITS per side, and the moving parts to draw over it."""

    image: np.ndarray  # (UNITS, UNITS, 4) uint8: blue, green, red, alpha; eyes open, mouth shut
    eyes: list[np.ndarray]
    eyes_at: tuple[slice, slice]
    mouths: list[np.ndarray]
    mouth_at: tuple[slice, slice]
    outline: np.ndarray  # (n, 2) of the face, units
    points: np.ndarray  # (5, 2) left eye, right eye, nose, left mouth corner, right mouth corner, as seen; units
    shape: dict[str, float]

    def frame(self, lid: int, opening: int) -> np.ndarray:
        """The image with the given state of eyes and mouth."""
        image = self.image.copy()
        image[self.eyes_at] = self.eyes[lid]
        image[self.mouth_at] = self.mouths[opening]
        return image


def draw_portrait(face: Face, look: Look, expression: Expression) -> Portrait:
    """Draw every state once; `film` then only combines the parts."""
    return Portraitist(face, look, expression).portrait()


class Portraitist(Hair, Features):
    """Draws skin, nose and light, and combines all parts."""

    def portrait(self) -> Portrait:
        canvas, over = Canvas(), Canvas()
        self.hair_behind(canvas)
        self.head(canvas)
        self.nose(canvas)
        self.beard(canvas)
        self.hair_in_front(over)
        if self.look.glasses:
            self.glasses(over)
        light = self.light()

        def finish(at: tuple[slice, slice]) -> np.ndarray:
            """The region `at` of the drawing after overlay, downsampling and lighting."""
            fine = tuple(slice(a.start * FINE, a.stop * FINE) for a in at)
            top = over.image[fine]
            part = canvas.image[fine] * (1 - top[..., 3:] / 255) + top
            part = cv2.resize(part, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
            part[..., :3] *= light[at]
            return np.clip(part, 0, 255).astype(np.uint8)

        def states(draw: Callable[[float], None], count: int, at: tuple[slice, slice]) -> list[np.ndarray]:
            """Return the region `at` in `count` states; the canvas keeps the first."""
            fine = tuple(slice(a.start * FINE, a.stop * FINE) for a in at)
            clean = canvas.image[fine].copy()
            parts = []
            for state in reversed(range(count)):
                canvas.image[fine] = clean
                draw(state / (count - 1))
                parts.append(finish(at))
            return parts[::-1]

        eyes_at, mouth_at = band(-24, 18, 42), band(self.s["nose_y"] + 6, 84, 34)
        eyes = states(lambda shut: self.eyes(canvas, shut), LIDS, eyes_at)
        mouths = states(lambda opening: self.mouth(canvas, opening), OPENINGS, mouth_at)
        eye = (self.s["eye_gap"], 0.0)
        points = np.array([(-eye[0], 0), eye, (0, self.s["nose_y"] - 1.0), *self.mouth_corners()])
        image = finish((slice(0, UNITS), slice(0, UNITS)))
        return Portrait(image, eyes, eyes_at, mouths, mouth_at, self.outline, points, self.s)

    def head(self, c: Canvas) -> None:
        s, skin = self.s, self.skin
        w = s["width"]
        for side in (-1, 1):
            at = (side * (w * s["temple"] + 1.5), s["ear_y"] + 6)
            c.ellipse(at, (s["ear"] * 0.62, s["ear"] * 1.45), skin * 0.93, angle=side * 0.18)
            c.ellipse((at[0] + side, at[1]), (s["ear"] * 0.36, s["ear"] * 0.95), skin * 0.70, 0.8, 1.2, side * 0.18)
        c.fill(self.outline, skin)
        inside = self.outline
        # Sides of the forehead, hollows of the eyes, under the cheekbones and the jaw are darker
        for side in (-1, 1):
            c.ellipse((side * s["eye_gap"], -3), (15, 9.5), skin * 0.80, 0.5, 4.5, within=inside)
            c.ellipse((side * w * 0.80, 0.50 * s["bottom"]), (9, 22), skin * 0.78, 0.40 - 0.08 * s["cheek"], 6,
                      side * 0.35, inside)  # fmt: skip
            c.ellipse((side * w * 0.58, 21), (13, 10), skin * (0.86, 0.88, 1.06), 0.45 + 0.3 * self.face.makeup, 5,
                      within=inside)  # fmt: skip
            c.ellipse((side * w * 0.52, 13), (10, 6), np.minimum(skin * 1.13 + 5, 255), 0.45, 4, within=inside)
        c.ellipse((0, -0.52 * s["top"]), (24, 12), np.minimum(skin * 1.10 + 5, 255), 0.5, 7, within=inside)
        c.ellipse((0, s["bottom"] + 2), (0.7 * w, 9), skin * 0.72, 0.5, 5, within=inside)
        c.ellipse((0, s["bottom"] - 10), (9, 6), np.minimum(skin * 1.09 + 4, 255), 0.5, 3.5, within=inside)
        if s["chin_cleft"] > 0.5:
            c.line(np.array([(0, s["bottom"] - 11), (0, s["bottom"] - 5)]), 1.0, skin * 0.75, 0.6, 1.0)
        self.marks(c)

    def marks(self, c: Canvas) -> None:
        """Freckles, moles and wrinkles."""
        s, skin, face = self.s, self.skin, self.face
        if face.freckles:
            for x, y in self.random(0).normal((0, 16), (20, 8), (40, 2)):
                c.ellipse((x, y), (0.8, 0.8), skin * (0.62, 0.70, 0.84), 0.7 * face.freckles, 0.3, within=self.outline)
        for x, y, radius in face.moles:
            c.ellipse((x, y), (radius, radius), skin * 0.38, 0.9, 0.3, within=self.outline)
        if face.wrinkles > 0.05:
            fold, dark = face.wrinkles, skin * 0.66
            for side in (-1, 1):
                nose, mouth = s["nose_width"] + 2, s["mouth_width"] + 4
                c.line(smooth([(side * nose, s["nose_y"] - 1), (side * (mouth - 1), s["mouth_y"] - 7),
                               (side * mouth, s["mouth_y"] + 2)]), 1.2, dark, 0.75 * fold, 0.8)  # fmt: skip
                bag = s["eye_gap"]
                c.line(
                    smooth([(side * (bag - 8), 7), (side * bag, 10.5), (side * (bag + 9), 7)]), 1, dark, 0.6 * fold, 0.8
                )
                for dy in (-2, 2):
                    c.line(
                        np.array([(side * (bag + 13), dy), (side * (bag + 19), 2.5 * dy)]), 0.8, dark, 0.5 * fold, 0.5
                    )
            for y in (-0.50, -0.58):
                line = smooth([(-20, y * s["top"]), (0, y * s["top"] - 2), (20, y * s["top"])])
                c.line(line, 1, dark, 0.45 * fold, 0.8)

    def nose(self, c: Canvas) -> None:
        s, skin = self.s, self.skin
        y, wide, bridge = s["nose_y"], s["nose_width"], s["nose_bridge"]
        dark, bright = skin * 0.72, np.minimum(skin * 1.16 + 6, 255)
        side_ways = 1 if self.look.light[0] < 0 else -1  # the side away from the light
        for side in (-1, 1):
            strength = 0.75 if side == side_ways else 0.38
            c.fill(smooth([(side * bridge, -6), (side * (bridge + 0.5), y * 0.5), (side * wide * 0.95, y - 3),
                           (side * (wide + 1.5), y * 0.75), (side * (bridge + 6), 2)], closed=True),
                   dark, strength, 2.0)  # fmt: skip
        c.fill(smooth([(-bridge * 0.5, -4), (bridge * 0.5, -4), (bridge * 0.55, y * 0.7), (-bridge * 0.55, y * 0.7)],
                      closed=True), bright, 0.5, 1.6)  # fmt: skip
        c.ellipse((0, y + 3.5), (wide * 1.0, 3.0), skin * 0.62, 0.6, 1.6)
        c.ellipse((0, y - 1.5), (wide * 0.98, s["nose_tip"]), skin * 0.99, 0.75, 1.3)
        c.ellipse((0, y - 3), (s["nose_tip"] * 0.6, s["nose_tip"] * 0.5), bright, 0.7, 1.3)
        for side in (-1, 1):
            wing = smooth([(side * wide * 0.80, y - 5), (side * wide * 1.04, y - 1), (side * wide * 0.80, y + 2.2)])
            c.line(wing, 1.2, skin * 0.5, 0.85, 0.4)
            c.ellipse((side * wide * 0.45, y + 1.8), (wide * 0.26, 1.6), skin * 0.28, 0.95, 0.4, side * -0.25)
        c.ellipse((0, (y + s["mouth_y"]) / 2), (1.8, 4), skin * 0.84, 0.5, 1.2)

    def light(self) -> np.ndarray:
        """(UNITS, UNITS, 3) gain: shading of a rounded head in the session's light, exposure, colour and skin grain."""
        x, y = np.meshgrid(np.arange(UNITS) - ORIGIN[0], np.arange(UNITS) - ORIGIN[1])
        nx, ny = np.clip(x / 75, -0.95, 0.95), np.clip((y - 2) / 95, -0.95, 0.95)
        nz = np.sqrt(np.maximum(1 - nx**2 - ny**2, 0.05))
        lit = nx * self.look.light[0] + ny * self.look.light[1] + nz * self.look.light[2]
        gain = 1 + self.look.contrast * 1.5 * (np.clip(lit, -0.2, 1) - 0.72)
        grain = self.random(4).normal(0, 1, (UNITS // 4, UNITS // 4)).astype(np.float32)
        grain = cv2.resize(cv2.GaussianBlur(grain, (0, 0), 0.8), (UNITS, UNITS), interpolation=cv2.INTER_CUBIC)
        gain = gain * (1 + 0.03 * grain) * self.look.exposure
        return (gain[..., None] * self.look.colour).astype(np.float32)


def band(top: float, bottom: float, half_width: float) -> tuple[slice, slice]:
    """The rows between two heights, and the columns within `half_width` of the centre."""
    x, y = ORIGIN
    return slice(int(y + top), int(y + bottom)), slice(int(x - half_width), int(x + half_width))
