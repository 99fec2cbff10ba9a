"""One clip's portrait: the head from the front as a picture, with eyes for every lid and a mouth for every opening."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from canvas import FINE, ORIGIN, UNITS, Canvas, blur, mirrored, oval, smooth
from faces import Expression, Face, Look

LIDS = 4  # drawn states of the eyes, from open to shut
OPENINGS = 7  # drawn states of the mouth, from shut to wide open
WIDEST = 12.0  # units that the lower lip falls
DARK = np.array((18, 16, 22.0))


@dataclass(frozen=True)
class Portrait:
    """Premultiplied picture with alpha, UNITS a side, and the moving parts to lay on it."""

    picture: np.ndarray  # (UNITS, UNITS, 4) uint8: blue, green, red, alpha; eyes open, mouth shut
    eyes: list[np.ndarray]
    eyes_at: tuple[slice, slice]
    mouths: list[np.ndarray]
    mouth_at: tuple[slice, slice]
    outline: np.ndarray  # (n, 2) of the face, units
    points: np.ndarray  # (5, 2) left eye, right eye, nose, left mouth corner, right mouth corner, as seen; units
    shape: dict[str, float]

    def frame(self, lid: int, opening: int) -> np.ndarray:
        """Return the picture with one state of eyes and mouth."""
        picture = self.picture.copy()
        picture[self.eyes_at] = self.eyes[lid]
        picture[self.mouth_at] = self.mouths[opening]
        return picture


def draw_portrait(face: Face, look: Look, expression: Expression) -> Portrait:
    """Draw everything once; a film then only puts the parts together."""
    return _Artist(face, look, expression).portrait()


class _Artist:
    def __init__(self, face: Face, look: Look, expression: Expression) -> None:
        self.face, self.look, self.expression = face, look, expression
        self.s = expression.shape
        self.skin = face.skin

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
            """Return the part `at` of the drawing as it is seen: covered, made small, lit."""
            fine = tuple(slice(a.start * FINE, a.stop * FINE) for a in at)
            top = over.picture[fine]
            part = canvas.picture[fine] * (1 - top[..., 3:] / 255) + top
            part = cv2.resize(part, None, fx=1 / FINE, fy=1 / FINE, interpolation=cv2.INTER_AREA)
            part[..., :3] *= light[at]
            return np.clip(part, 0, 255).astype(np.uint8)

        def states(draw: Callable[[float], None], count: int, at: tuple[slice, slice]) -> list[np.ndarray]:
            """Return the part `at` in `count` states; the canvas keeps the first."""
            fine = tuple(slice(a.start * FINE, a.stop * FINE) for a in at)
            clean = canvas.picture[fine].copy()
            parts = []
            for state in reversed(range(count)):
                canvas.picture[fine] = clean
                draw(state / (count - 1))
                parts.append(finish(at))
            return parts[::-1]

        eyes_at, mouth_at = band(-24, 18, 42), band(self.s["nose_y"] + 6, 84, 34)
        eyes = states(lambda shut: self.eyes(canvas, shut), LIDS, eyes_at)
        mouths = states(lambda opening: self.mouth(canvas, opening), OPENINGS, mouth_at)
        eye = (self.s["eye_gap"], 0.0)
        points = np.array([(-eye[0], 0), eye, (0, self.s["nose_y"] - 1.0), *self.mouth_corners()])
        picture = finish((slice(0, UNITS), slice(0, UNITS)))
        return Portrait(picture, eyes, eyes_at, mouths, mouth_at, self.outline, points, self.s)

    def random(self, what: int) -> np.random.Generator:
        """Return the stream for one kind of small detail, the same in all of a person's portraits."""
        return np.random.default_rng([self.face.texture_seed, what])

    # ---- the head

    @cached_property
    def outline(self) -> np.ndarray:
        """The face from crown to chin, closed, clockwise from the top."""
        s = self.s
        w, top, bottom = s["width"], s["top"], s["bottom"]
        cheek = 0.018 * s["cheek"]
        right = np.array([
            (0, -top), (0.55 * w, -0.90 * top), (w * s["temple"] * 0.93, -0.52 * top), (w * s["temple"], -0.15 * top),
            (w, 0.14 * bottom), (w * (0.55 + 0.45 * s["jaw"] + cheek), 0.42 * bottom),
            (w * s["jaw"], 0.63 * bottom), (w * (0.42 * s["jaw"] + 0.58 * s["chin"]) , 0.86 * bottom),
            (w * s["chin"] * 0.55, 0.975 * bottom), (0, bottom),
        ])  # fmt: skip
        return smooth(np.concatenate([right, mirrored(right[1:-1])]), closed=True)

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
                c.line(smooth([(side * (bag - 8), 7), (side * bag, 10.5), (side * (bag + 9), 7)]), 1, dark, 0.6 * fold, 0.8)
                for dy in (-2, 2):
                    c.line(np.array([(side * (bag + 13), dy), (side * (bag + 19), 2.5 * dy)]), 0.8, dark, 0.5 * fold, 0.5)
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

    # ---- eyes, brows, glasses

    def eyes(self, c: Canvas, shut: float) -> None:
        for side in (-1, 1):
            self.eye(c, side, shut)
            self.brow(c, side)

    def eye(self, c: Canvas, side: int, shut: float) -> None:
        s, face, skin = self.s, self.face, self.skin
        at = np.array([side * s["eye_gap"], 0.0])
        wide, high = s["eye_width"], s["eye_height"] * self.expression.openness
        high *= 1 - 0.08 * max(self.expression.smile, 0)
        tilt = -s["eye_tilt"] * side
        turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])

        def place(points: list) -> np.ndarray:  # drawn for the right side of the picture, inner corner at -x
            return smooth(np.array(points) * (side, 1)) @ turn + at

        rise = high * (1 - 1.5 * shut)  # the upper lid comes down over the lower one's line
        upper = place([(-wide, 1.2), (-0.45 * wide, -0.80 * rise), (0.15 * wide, -rise), (wide, -0.2)])
        lower = place([(-wide, 1.2), (-0.3 * wide, 0.72 * high), (0.4 * wide, 0.66 * high), (wide, -0.2)])
        opening = np.concatenate([upper, lower[::-1]])
        lid = place([(-wide - 1, 1.5), (-0.45 * wide, -high - s["lid"]), (0.2 * wide, -high - s["lid"] - 1), (wide + 1.5, 0)])
        shadow = np.array((120, 90, 90.0)) if face.makeup > 0.6 else skin * 0.82
        c.fill(np.concatenate([lid, upper[::-1]]), shadow, 0.35 + 0.5 * shut * (face.makeup > 0.6), 0.8)
        if shut < 0.95:
            c.fill(opening, np.array((222, 226, 228.0)), 1.0, 0.35)
            gaze = at + self.expression.gaze
            c.ellipse(gaze, (s["iris"],) * 2, face.iris * 0.55, within=opening)
            c.ellipse(gaze, (s["iris"] * 0.82,) * 2, face.iris, soft=0.3, within=opening)
            c.ellipse(gaze + (0, s["iris"] * 0.4), (s["iris"] * 0.5,) * 2, face.iris * 1.35, 0.6, 0.6, within=opening)
            c.ellipse(gaze, (s["iris"] * 0.42,) * 2, DARK, within=opening)
            c.fill(np.concatenate([upper, upper[::-1] + (0, 2.2)]), DARK, 0.45, 0.7, within=opening)
            c.ellipse(gaze + (-1.6, -1.6), (1.2, 1.2), np.full(3, 250.0), 0.95, within=opening)
        else:
            c.fill(opening, skin * 0.94, 1.0, 0.4)
        c.line(upper, 1.3 + 0.9 * face.makeup, skin * 0.16, 0.95, 0.2)
        c.line(lower, 0.7, skin * 0.5, 0.7, 0.3)
        c.line(lid, 0.7, skin * 0.6, 0.65, 0.4)
        if face.makeup > 0.2 and not shut:
            lash = at + np.array([(side * wide, 0), (side * (wide + 2.6), -2.8)])
            c.line(lash, 0.9, DARK, 0.5 + 0.5 * face.makeup, 0.2)

    def brow(self, c: Canvas, side: int) -> None:
        s = self.s
        wide, thick, arch = s["brow_width"], s["brow_thick"], s["brow_arch"]
        y = s["brow_y"] - s["brow_tilt"] * 6
        base = np.array([(-wide, 0.8), (-0.2 * wide, -0.6 * arch), (0.45 * wide, -arch), (wide, 1.2)])
        base[:, 1] += np.array([1, 0.3, -0.3, -1]) * s["brow_tilt"] * 14
        half = thick * np.array([0.85, 1.0, 0.8, 0.15])
        edge = np.concatenate([smooth(base - half[:, None] * (0, 1)), smooth(base + half[:, None] * (0, 1))[::-1]])
        dark = self.face.hair * (1 - 0.75 * np.clip(s["brow_dark"], 0.2, 0.95)) + DARK * 0.2
        c.fill(edge * (side, 1) + (side * s["eye_gap"] * 1.04, y), dark, 0.9, 0.6)

    def glasses(self, c: Canvas) -> None:
        wide, high, square = self.face.frame
        wide, high = wide * self.look.frame_scale, high * self.look.frame_scale
        gap = max(self.s["eye_gap"], wide + 2.0)
        t = np.linspace(0, 2 * np.pi, 40)
        power = 2 / square
        shape = np.stack([np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power * wide,
                          np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power * high], axis=1)  # fmt: skip
        colour, width = self.face.frame_colour, 1.0 + 0.35 * (square - 1)
        for side in (-1, 1):
            lens = shape + (side * gap, 2.0)
            c.fill(lens, np.full(3, 235.0), 0.08)
            shine = np.array([(-0.5, -0.7), (-0.1, -0.7), (-0.5, 0.5), (-0.8, 0.5)]) * (wide, high) + (side * gap, 2)
            c.fill(shine, np.full(3, 255.0), 0.13, 0.8, within=lens)
            c.line(lens + (0, 0.9), width, self.skin * 0.4, 0.3, 0.8)
            c.line(lens, width, colour, 0.95)
            c.line(np.array([(side * (gap + wide), 0), (side * (self.s["width"] + 2), -1)]), width, colour, 0.95)
        c.line(smooth([(-gap + wide, 0), (0, -2.5), (gap - wide, 0)]), width, colour, 0.95)

    # ---- mouth and beard

    def mouth_corners(self) -> np.ndarray:
        s = self.s
        y = s["mouth_y"] - 0.8 * self.expression.smile - s["mouth_curve"] * 0.5
        return np.array([(-s["mouth_width"], y), (s["mouth_width"], y)])

    def mouth(self, c: Canvas, opening: float) -> None:
        """The lips, with what is behind them; the lower lip and the corners move with `opening`."""
        s, face = self.s, self.face
        y, down = s["mouth_y"], WIDEST * opening
        (_, corner_y), (wide, _) = self.mouth_corners()
        wide *= 1 - 0.14 * opening
        up = 1.2 * opening + 0.5
        upper, lower, bow = s["upper_lip"], s["lower_lip"], s["bow"]
        lips = 0.62 * face.lips + 0.38 * self.skin * 0.8 if not face.makeup else (
            (0.75 - 0.25 * face.makeup) * 0.6 * self.skin + (0.55 + 0.25 * face.makeup) * face.lips)  # fmt: skip
        corner_y += 0.2 * down
        top = smooth([(-wide, corner_y), (-0.5 * wide, y - 0.75 * upper - up), (-0.16 * wide, y - upper - up - bow * 0.6),
                      (0, y - upper - up + bow * 0.6), (0.16 * wide, y - upper - up - bow * 0.6),
                      (0.5 * wide, y - 0.75 * upper - up), (wide, corner_y)])  # fmt: skip
        between_top = smooth([(-wide, corner_y), (-0.4 * wide, y - up), (0, y - up + 0.5), (0.4 * wide, y - up),
                              (wide, corner_y)])  # fmt: skip
        between_low = smooth([(-wide, corner_y), (-0.5 * wide, y + 0.75 * down), (0, y + down + 0.4),
                              (0.5 * wide, y + 0.75 * down), (wide, corner_y)])  # fmt: skip
        bottom = smooth([(-wide, corner_y), (-0.5 * wide, y + 0.8 * lower + 0.85 * down), (0, y + lower + down),
                         (0.5 * wide, y + 0.8 * lower + 0.85 * down), (wide, corner_y)])  # fmt: skip
        c.ellipse((0, y + lower + down + 3.5), (0.6 * wide, 2.2), self.skin * 0.66, 0.55, 1.5)
        hole = np.concatenate([between_top, between_low[::-1]])
        if opening > 0.05:
            c.fill(hole, np.array((26, 18, 52.0)))
            c.ellipse((0, y + down + 1), (0.55 * wide, 0.45 * down + 0.5), np.array((84, 78, 158.0)), 0.9, 0.8, within=hole)
            half, low = 0.62 * wide, min(0.5 * down, 3.4)
            teeth = smooth([(-half, y - 3), (half, y - 3), (0.8 * half, y - up + low), (-0.8 * half, y - up + low)], closed=True)
            c.fill(teeth, np.array((196, 208, 214.0)), 0.95, 0.5, within=hole)
        c.fill(np.concatenate([top, between_top[::-1]]), lips * 0.88, 1.0, 0.4)
        c.fill(np.concatenate([between_low, bottom[::-1]]), lips, 1.0, 0.4)
        c.ellipse((0, y + 0.55 * lower + down), (0.35 * wide, 0.28 * lower), np.minimum(lips * 1.25 + 8, 255), 0.5, 0.9)
        if opening <= 0.05:
            c.line(between_top, 1.0, lips * 0.42, 0.9, 0.3)
        else:
            c.line(between_top, 0.6, lips * 0.5, 0.6, 0.3)
        for x in (-wide, wide):
            c.ellipse((x, corner_y), (1.3, 1.1), self.skin * 0.5, 0.7, 0.7)

    def beard(self, c: Canvas) -> None:
        """Hair of the face below the mouth's skin: drawn before the lips, which stay free."""
        s, kind = self.s, self.look.beard
        if kind == "none":
            return
        w, bottom, y = s["width"], s["bottom"], s["mouth_y"]
        colour = self.look.hair * 0.8 + DARK * 0.1
        alpha, soft = (0.33, 3.0) if kind == "stubble" else (0.93, 1.3)
        if kind in ("full", "stubble"):
            right = np.array([(w * 1.02, 14), (w * 0.86, 22), (w * 0.62, 31), (0.42 * w, y - 9), (0, s["nose_y"] + 7.5)])
            low = smooth(np.concatenate([right, mirrored(right[:-1])]))
            under = np.array([(-w * 1.1, bottom * 0.8), (0, bottom + 12), (w * 1.1, bottom * 0.8)])
            c.fill(np.concatenate([low, under]), colour, alpha, soft, within=self.outline)
        else:
            wide = s["mouth_width"]
            c.fill(smooth([(-wide - 1, y - 1), (-0.6 * wide, y - 8.5), (0, s["nose_y"] + 7), (0.6 * wide, y - 8.5),
                           (wide + 1, y - 1), (0, y - 5)], closed=True), colour, alpha, 0.9)  # fmt: skip
            if kind == "goatee":
                c.fill(smooth([(-wide - 2, y), (-wide + 3, y + 2), (0, y + 9), (wide - 3, y + 2), (wide + 2, y),
                               (0.6 * wide, bottom), (-0.6 * wide, bottom)], closed=True), colour, alpha, 1.0,
                       within=self.outline)  # fmt: skip
        if kind in ("full", "goatee"):
            rng = self.random(1)
            for x in rng.uniform(-0.7, 0.7, 26) * w:
                length = rng.uniform(6, 12)
                start = bottom - 18 + rng.uniform(-4, 6) - 0.15 * abs(x)
                shade = colour * rng.uniform(0.7, 1.4)
                if kind == "full" or abs(x) < 0.5 * s["mouth_width"]:
                    c.line(np.array([(x, start), (x * 0.93, start + length)]), 0.7, shade, 0.5, 0.3, within=self.outline)

    # ---- hair

    @cached_property
    def volume(self) -> float:
        grow = {"bald": 0.0, "buzz": 0.22, "curly": 1.45}.get(self.look.front, 1.0)
        return max(self.s["hair_volume"] * self.look.volume * grow, 0.0)

    @cached_property
    def dome(self) -> np.ndarray:
        """The hair's outer edge from the left ear over the crown to the right ear."""
        s, v = self.s, self.volume
        w, top = s["width"], s["top"]
        right = np.array([(0, -top - v), (0.56 * w + 0.3 * v, -0.92 * top - 0.85 * v),
                          (0.94 * w + 0.6 * v, -0.52 * top - 0.3 * v), (w + 0.55 * v, -0.08 * top), (w * 0.98, 6)])  # fmt: skip
        edge = smooth(np.concatenate([mirrored(right[1:]), right]))
        if self.look.front == "curly":
            bump = 2.2 * np.abs(np.sin(np.linspace(0, 9 * np.pi, len(edge))))
            edge = edge * (1 + bump / np.linalg.norm(edge, axis=1))[:, None]
        return edge

    def hair_behind(self, c: Canvas) -> None:
        s, back = self.s, self.look.back
        dark = self.look.hair * 0.72
        w, v = s["width"], max(self.volume, 4.0)
        if back == "bun":
            c.ellipse((0, -s["top"] - v - 6), (17, 14), self.look.hair * 0.9, soft=0.5)
            c.ellipse((-3, -s["top"] - v - 9), (9, 6), np.minimum(self.look.hair * 1.3 + 8, 255), 0.5, 3)
        if back in ("bob", "long"):
            low = 0.74 * s["bottom"] if back == "bob" else s["bottom"] + 30
            out = w + v * (1.0 if back == "long" else 1.3)
            right = np.array([(0, -s["top"] - 0.6 * v), (0.7 * w, -0.8 * s["top"]), (out, -0.1 * s["top"]), (out + 2, 0.6 * low),
                              (out - 5, low), (0.5 * out, low + 3)])  # fmt: skip
            edge = smooth(np.concatenate([right, mirrored(right[1:])]), closed=True)
            c.fill(edge, dark, soft=0.7)
            rng = self.random(2)
            for x in rng.uniform(0.62, 1.0, 26) * rng.choice([-1, 1], 26):
                shade = self.look.hair * rng.uniform(0.55, 1.25)
                c.line(smooth([(x * w, -30), (x * out, 10), (x * (out + 2), low - 2)]), 1.0, shade, 0.5, 0.4, within=edge)
            neck = 0.56 * w  # else the hair would hide it
            low = s["bottom"] + 9
            c.fill(np.array([(-neck, 20), (neck, 20), (neck, low), (-neck, low)]), self.skin * 0.70, soft=0.6)
            c.ellipse((0, s["bottom"] + 2), (neck, 12), self.skin * 0.5, 0.7, 4)

    @cached_property
    def hairline(self) -> np.ndarray:
        """From the right ear over the forehead to the left ear."""
        s, front = self.s, self.look.front
        w, h = s["width"] * s["temple"], s["hairline"] * s["top"]
        p = float(np.clip(s["part"], -0.7, 0.7))
        side = 1 if p >= 0 else -1
        if front == "fringe":
            u = np.linspace(0.86, -0.86, 13)
            y = -0.42 * s["top"] + 2.2 * np.cos(np.arange(13) * np.pi) - 3 * u**2
            middle = np.stack([u * w, y], axis=1)
        elif front == "part":
            middle = np.array([(0.90 * w, -0.22 * s["top"]), (0.62 * w, -0.55 * h), (p * w * 0.6, -1.18 * h),
                               (-0.62 * w, -0.55 * h), (-0.90 * w, -0.22 * s["top"])])  # fmt: skip
        elif front == "side":
            middle = np.array([(0.88 * w, -0.75 * h), (0.45 * w, -0.88 * h), (0.1 * w, -0.85 * h), (-0.35 * w, -0.98 * h),
                               (-0.62 * w, -1.12 * h), (-0.9 * w, -0.75 * h)]) * (side, 1)  # fmt: skip
            middle = middle if side > 0 else middle[::-1]
        elif front == "swept":
            middle = np.array([(0.92 * w, -0.30 * s["top"]), (0.72 * w, -0.55 * h), (0.2 * w, -0.78 * h), (-0.4 * w, -1.10 * h),
                               (-0.72 * w, -1.05 * h), (-0.92 * w, -0.5 * h)]) * (side, 1)  # fmt: skip
            middle = middle if side > 0 else middle[::-1]
        elif front == "receding":
            middle = np.array([(0.93 * w, -0.55 * h), (0.62 * w, -1.22 * h), (0.25 * w, -1.08 * h), (0, -0.98 * h),
                               (-0.25 * w, -1.08 * h), (-0.62 * w, -1.22 * h), (-0.93 * w, -0.55 * h)])  # fmt: skip
        else:  # buzz, curly
            middle = np.array([(0.93 * w, -0.62 * h), (0.66 * w, -0.97 * h), (0, -1.04 * h), (-0.66 * w, -0.97 * h),
                               (-0.93 * w, -0.62 * h)])  # fmt: skip
        ear = s["width"]
        ends = np.array([(0.965 * ear, 6), (0.955 * ear, -6)])
        return smooth(np.concatenate([ends, middle, mirrored(ends)]), steps=5)

    def hair_in_front(self, c: Canvas) -> None:
        if self.look.cap is not None:
            self.cap(c)
            return
        if self.look.front == "bald":
            c.ellipse((-8, -0.82 * self.s["top"]), (13, 6), np.full(3, 255.0), 0.22, 4)
            return
        region = np.concatenate([self.dome, self.hairline])
        hair = self.look.hair
        buzz = self.look.front == "buzz"
        shade = self.hairline + (0, 2.0)
        c.line(shade, 3.0, self.skin * 0.55, 0.4, 1.5, within=self.outline)
        c.fill(region, hair * 0.85 if not buzz else 0.7 * hair + 0.2 * self.skin, 0.85 if buzz else 1.0, 0.9 if buzz else 0.5)
        top = self.s["top"] + self.volume
        c.ellipse((-10 * np.sign(self.look.light[0]) * -1, -0.86 * top), (26, 8), np.minimum(hair * 1.35 + 14, 255), 0.4, 6,
                  within=region)  # fmt: skip
        if buzz:
            return
        origin = np.array([self.s["part"] * self.s["width"] * 0.6, -top * 0.98])
        rng = self.random(3)
        ends = self.hairline[rng.integers(0, len(self.hairline), 34)] + rng.normal(0, 1.5, (34, 2))
        for end in ends:
            middle = 0.5 * (origin + end) + np.array([0.18 * (end[0] - origin[0]), -7])
            tone = hair * rng.uniform(0.6, 1.3) + 3
            c.line(smooth([origin + (end[0] * 0.25, 0), middle, end], steps=4), 1.0, tone, 0.42, 0.3, within=region)

    def cap(self, c: Canvas) -> None:
        s, colour = self.s, self.look.cap
        w, top = s["width"] + 3, s["top"] + 6
        right = np.array([(0, -top), (0.6 * w, -0.92 * top), (0.98 * w, -0.55 * top), (w, -0.34 * top)])
        brim = np.array([(w, -0.34 * top), (0.5 * w, -0.46 * top), (0, -0.5 * top), (-0.5 * w, -0.46 * top), (-w, -0.34 * top)])
        c.fill(smooth(np.concatenate([mirrored(right[1:]), right])), colour, 1.0, 0.4)
        c.fill(np.concatenate([smooth(brim), smooth(brim * (1.02, 1) + (0, 7) * np.array([0.2, 1, 1.2, 1, 0.2])[:, None])[::-1]]),
               colour * 0.7, 1.0, 0.4)  # fmt: skip
        c.ellipse((0, -0.75 * top), (0.16 * w, 5), np.minimum(colour * 1.5 + 30, 255), 0.8, 0.5)

    # ---- light and edge

    def light(self) -> np.ndarray:
        """(UNITS, UNITS, 3) gain: a rounded head in the session's light, its exposure and colour; grain of the skin."""
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
    """Return the rows and columns of the picture between two heights and around the middle."""
    x, y = ORIGIN
    return slice(int(y + top), int(y + bottom)), slice(int(x - half_width), int(x + half_width))
