"""Hair behind the head and over the forehead, and the cap that covers it."""

from functools import cached_property

import numpy as np
from artist import Artist
from canvas import NOTHING, Canvas, mirrored, smooth


class Hair(Artist):
    """Draws hair."""

    @cached_property
    def volume(self) -> float:
        grow = {"bald": 0.0, "buzz": 0.22, "curly": 1.45}.get(self.look.front, 1.0)
        return max(self.s["hair_volume"] * self.look.volume * grow, 0.0)

    @cached_property
    def dome(self) -> np.ndarray:
        """Outer edge of the hair, from the left ear over the crown to the right ear."""
        s, v = self.s, self.volume
        w, top = s["width"], s["top"]
        right = np.array([(0, -top - v), (0.56 * w + 0.3 * v, -0.92 * top - 0.85 * v),
                          (0.94 * w + 0.6 * v, -0.52 * top - 0.3 * v), (w + 0.55 * v, -0.08 * top),
                          (w * 0.98, 6)])  # fmt: skip
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
            right = np.array([(0, -s["top"] - 0.6 * v), (0.7 * w, -0.8 * s["top"]), (out, -0.1 * s["top"]),
                              (out + 2, 0.6 * low),
                              (out - 5, low), (0.5 * out, low + 3)])  # fmt: skip
            edge = smooth(np.concatenate([right, mirrored(right[1:])]), closed=True)
            c.fill(edge, dark, soft=0.7)
            rng = self.random(2)
            for x in rng.uniform(0.62, 1.0, 26) * rng.choice([-1, 1], 26):
                shade = self.look.hair * rng.uniform(0.55, 1.25)
                c.line(
                    smooth([(x * w, -30), (x * out, 10), (x * (out + 2), low - 2)]), 1.0, shade, 0.5, 0.4, within=edge
                )
            neck = np.array([(-0.42 * w, 20), (0.42 * w, 20), (0.6 * w, 129), (-0.6 * w, 129)])
            c.fill(neck, NOTHING, soft=1.5)  # parted at the neck

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
            middle = np.array([(0.88 * w, -0.75 * h), (0.45 * w, -0.88 * h), (0.1 * w, -0.85 * h),
                               (-0.35 * w, -0.98 * h),
                               (-0.62 * w, -1.12 * h), (-0.9 * w, -0.75 * h)]) * (side, 1)  # fmt: skip
            middle = middle if side > 0 else middle[::-1]
        elif front == "swept":
            middle = np.array([(0.92 * w, -0.30 * s["top"]), (0.72 * w, -0.55 * h), (0.2 * w, -0.78 * h),
                               (-0.4 * w, -1.10 * h),
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
        shade = np.add(self.hairline, (0, 2.0))
        c.line(shade, 3.0, self.skin * 0.55, 0.4, 1.5, within=self.outline)
        c.fill(
            region,
            hair * 0.85 if not buzz else 0.7 * hair + 0.2 * self.skin,
            0.85 if buzz else 1.0,
            0.9 if buzz else 0.5,
        )
        top = self.s["top"] + self.volume
        shine_at = (10 * np.sign(self.look.light[0]), -0.86 * top)
        c.ellipse(shine_at, (26, 8), np.minimum(hair * 1.35 + 14, 255), 0.4, 6,
                  within=region)  # fmt: skip
        if buzz:
            return
        origin = np.array([self.s["part"] * self.s["width"] * 0.6, -top * 0.98])
        rng = self.random(3)
        ends = self.hairline[rng.integers(0, len(self.hairline), 34)] + rng.normal(0, 1.5, (34, 2))
        for end in ends:
            middle = 0.5 * (origin + end) + np.array([0.18 * (end[0] - origin[0]), -7])
            tone = hair * rng.uniform(0.6, 1.3) + 3
            start = np.add(origin, (end[0] * 0.25, 0))
            c.line(smooth([start, middle, end], steps=4), 1.0, tone, 0.42, 0.3, within=region)

    def cap(self, c: Canvas) -> None:
        s, colour = self.s, self.look.cap
        w, top = s["width"] + 3, s["top"] + 6
        right = np.array([(0, -top), (0.6 * w, -0.92 * top), (0.98 * w, -0.55 * top), (w, -0.34 * top)])
        brim = np.array(
            [(w, -0.34 * top), (0.5 * w, -0.46 * top), (0, -0.5 * top), (-0.5 * w, -0.46 * top), (-w, -0.34 * top)]
        )
        c.fill(smooth(np.concatenate([mirrored(right[1:]), right])), colour, 1.0, 0.4)
        front = brim * (1.02, 1) + np.outer([0.2, 1, 1.2, 1, 0.2], (0, 7))
        c.fill(np.concatenate([smooth(brim), smooth(front)[::-1]]), colour * 0.7, 1.0, 0.4)
        c.ellipse((0, -0.75 * top), (0.16 * w, 5), np.minimum(colour * 1.5 + 30, 255), 0.8, 0.5)
