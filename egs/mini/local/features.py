"""Eyes, brows, glasses, mouth and beard."""

import numpy as np
from artist import DARK, Artist
from canvas import Canvas, mirrored, smooth

WIDEST = 12.0  # units by which the lower lip drops


class Features(Artist):
    """Draws the moving parts of a face, glasses and beard."""

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

        def place(points: list) -> np.ndarray:  # drawn for the right side of the image, inner corner at -x
            return smooth(np.array(points) * (side, 1)) @ turn + at

        rise = high * (1 - 1.5 * shut)  # the upper lid closes past the line of the lower one
        upper = place([(-wide, 1.2), (-0.45 * wide, -0.80 * rise), (0.15 * wide, -rise), (wide, -0.2)])
        lower = place([(-wide, 1.2), (-0.3 * wide, 0.72 * high), (0.4 * wide, 0.66 * high), (wide, -0.2)])
        opening = np.concatenate([upper, lower[::-1]])
        lid = place(
            [(-wide - 1, 1.5), (-0.45 * wide, -high - s["lid"]), (0.2 * wide, -high - s["lid"] - 1), (wide + 1.5, 0)]
        )
        shadow = np.array((120, 90, 90.0)) if face.makeup > 0.6 else skin * 0.82
        c.fill(np.concatenate([lid, upper[::-1]]), shadow, 0.35 + 0.5 * shut * (face.makeup > 0.6), 0.8)
        if shut < 0.95:
            c.fill(opening, np.array((222, 226, 228.0)), 1.0, 0.35)
            gaze = at + self.expression.gaze
            c.ellipse(gaze, (s["iris"],) * 2, face.iris * 0.55, within=opening)
            c.ellipse(gaze, (s["iris"] * 0.82,) * 2, face.iris, soft=0.3, within=opening)
            glow = np.add(gaze, (0, s["iris"] * 0.4))
            c.ellipse(glow, (s["iris"] * 0.5,) * 2, face.iris * 1.35, 0.6, 0.6, within=opening)
            c.ellipse(gaze, (s["iris"] * 0.42,) * 2, DARK, within=opening)
            c.fill(np.concatenate([upper, np.add(upper[::-1], (0, 2.2))]), DARK, 0.45, 0.7, within=opening)
            c.ellipse(np.add(gaze, (-1.6, -1.6)), (1.2, 1.2), np.full(3, 250.0), 0.95, within=opening)
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
            lens = np.add(shape, (side * gap, 2.0))
            c.fill(lens, np.full(3, 235.0), 0.08)
            shine = np.array([(-0.5, -0.7), (-0.1, -0.7), (-0.5, 0.5), (-0.8, 0.5)]) * (wide, high) + (side * gap, 2)
            c.fill(shine, np.full(3, 255.0), 0.13, 0.8, within=lens)
            c.line(np.add(lens, (0, 0.9)), width, self.skin * 0.4, 0.3, 0.8)
            c.line(lens, width, colour, 0.95)
            c.line(np.array([(side * (gap + wide), 0), (side * (self.s["width"] + 2), -1)]), width, colour, 0.95)
        c.line(smooth([(-gap + wide, 0), (0, -2.5), (gap - wide, 0)]), width, colour, 0.95)

    def mouth_corners(self) -> np.ndarray:
        s = self.s
        y = s["mouth_y"] - 0.8 * self.expression.smile - s["mouth_curve"] * 0.5
        return np.array([(-s["mouth_width"], y), (s["mouth_width"], y)])

    def mouth(self, c: Canvas, opening: float) -> None:
        """The lips and the inside of the mouth; the lower lip and the corners move with `opening`."""
        s, face = self.s, self.face
        y, down = s["mouth_y"], WIDEST * opening
        (_, corner_y), (wide, _) = self.mouth_corners()
        wide *= 1 - 0.14 * opening
        up = 1.2 * opening + 0.5
        upper, lower, bow = s["upper_lip"], s["lower_lip"], s["bow"]
        lips = 0.62 * face.lips + 0.38 * self.skin * 0.8 if not face.makeup else (
            (0.75 - 0.25 * face.makeup) * 0.6 * self.skin + (0.55 + 0.25 * face.makeup) * face.lips)  # fmt: skip
        corner_y += 0.2 * down
        top = smooth([(-wide, corner_y), (-0.5 * wide, y - 0.75 * upper - up),
                      (-0.16 * wide, y - upper - up - bow * 0.6),
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
            c.ellipse(
                (0, y + down + 1), (0.55 * wide, 0.45 * down + 0.5), np.array((84, 78, 158.0)), 0.9, 0.8, within=hole
            )
            half, low = 0.62 * wide, min(0.5 * down, 3.4)
            teeth = smooth(
                [(-half, y - 3), (half, y - 3), (0.8 * half, y - up + low), (-0.8 * half, y - up + low)], closed=True
            )
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
        """Facial hair, drawn before the lips so that it does not cover them."""
        s, kind = self.s, self.look.beard
        if kind == "none":
            return
        w, bottom, y = s["width"], s["bottom"], s["mouth_y"]
        colour = self.look.hair * 0.8 + DARK * 0.1
        alpha, soft = (0.33, 3.0) if kind == "stubble" else (0.93, 1.3)
        if kind in ("full", "stubble"):
            right = np.array(
                [(w * 1.02, 14), (w * 0.86, 22), (w * 0.62, 31), (0.42 * w, y - 9), (0, s["nose_y"] + 7.5)]
            )
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
                    c.line(
                        np.array([(x, start), (x * 0.93, start + length)]), 0.7, shade, 0.5, 0.3, within=self.outline
                    )
