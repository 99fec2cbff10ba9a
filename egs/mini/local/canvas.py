"""A drawing surface with soft edges: shapes are blended at twice the final size and downsampled by area."""

import cv2
import numpy as np

UNITS = 256  # side of the canvas
ORIGIN = np.array([128.0, 126.0])  # where (0, 0), the middle of the eye line, lies
FINE = 2  # pixels per unit while drawing
NOTHING = (0, 0, 0, 0)  # the colour that erases
_BITS = 4  # OpenCV's fixed-point fraction


class Canvas:
    """Blue, green, red and alpha, premultiplied floats in [0, 255], UNITS * FINE pixels a side, initially empty."""

    def __init__(self) -> None:
        self.image = np.zeros((UNITS * FINE, UNITS * FINE, 4), np.float32)

    def fill(self, points: np.ndarray, colour: np.ndarray, alpha: float = 1.0, soft: float = 0.0,
             within: np.ndarray | None = None) -> None:  # fmt: skip
        """Fill the polygon `points` (n, 2); `soft` blurs its edge, and the polygon `within` clips it.

        A colour of four numbers has its own alpha: NOTHING erases.
        """
        self._blend(points, soft, colour, alpha, lambda m, p: _polygon(m, p), within)

    def ellipse(self, centre, axes, colour, alpha: float = 1.0, soft: float = 0.0, angle: float = 0.0,
                within: np.ndarray | None = None) -> None:  # fmt: skip
        """Fill an ellipse; `angle` in radians."""
        self.fill(oval(centre, axes, angle), colour, alpha, soft, within)

    def line(self, points: np.ndarray, width: float, colour, alpha: float = 1.0, soft: float = 0.0,
             within: np.ndarray | None = None) -> None:  # fmt: skip
        """Draw an open line through `points` (n, 2)."""
        self._blend(points, soft + width / 2, colour, alpha, lambda m, p: _polyline(m, p, width), within, soft)

    def _blend(self, points, margin, colour, alpha, draw, within=None, soft=None) -> None:
        soft = margin if soft is None else soft
        pixels = (np.asarray(points) + ORIGIN) * FINE
        pad = margin * FINE * 2.2 + 3
        x0, y0 = np.maximum(np.floor(pixels.min(axis=0) - pad), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(pixels.max(axis=0) + pad), UNITS * FINE).astype(int)
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        draw(mask, pixels - (x0, y0))
        if soft:
            mask = blur(mask, soft * FINE)
        if within is not None:
            cut = np.zeros_like(mask)
            _polygon(cut, (np.asarray(within) + ORIGIN) * FINE - (x0, y0))
            mask = cv2.multiply(mask, cut, scale=1 / 255)
        weight = cv2.merge([mask] * 4).astype(np.float32)
        weight *= alpha / 255
        part = self.image[y0:y1, x0:x1]
        part += weight * (np.array([*colour, 255][:4], np.float32) - part)


def blur(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Approximate a Gaussian blur in time independent of `sigma`."""
    if sigma < 2:
        return cv2.GaussianBlur(mask, (0, 0), sigma)
    side = int(sigma * 1.7) | 1  # three boxes of this side approximate the Gaussian
    mask = cv2.blur(mask, (side, side), borderType=cv2.BORDER_CONSTANT)
    mask = cv2.blur(mask, (side, side), borderType=cv2.BORDER_CONSTANT)
    return cv2.blur(mask, (side, side), borderType=cv2.BORDER_CONSTANT)


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(points * (1 << _BITS)).astype(np.int32)[None]


def _polygon(mask: np.ndarray, points: np.ndarray) -> None:
    cv2.fillPoly(mask, _fixed(points), 255, cv2.LINE_AA, _BITS)


def _polyline(mask: np.ndarray, points: np.ndarray, width: float) -> None:
    cv2.polylines(mask, _fixed(points), False, 255, max(1, round(width * FINE)), cv2.LINE_AA, _BITS)


def oval(centre, axes, angle: float = 0.0, steps: int = 28) -> np.ndarray:
    """Return the polygon of an ellipse."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    x, y = axes[0] * np.cos(t), axes[1] * np.sin(t)
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y], axis=1)


def smooth(points: np.ndarray, closed: bool = False, steps: int = 6) -> np.ndarray:
    """Return a Catmull-Rom curve through `points` (n, 2)."""
    p = np.asarray(points, float)
    ends = (p[-1:], p[:2]) if closed else (2 * p[:1] - p[1:2], 2 * p[-1:] - p[-2:-1])
    q = np.concatenate([ends[0], p, ends[1]])
    a, b, c, d = (q[i : len(q) - 3 + i, None] for i in range(4))
    t = (np.arange(steps) / steps)[:, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    curve = curve.reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p[-1:]])


def mirrored(points: np.ndarray) -> np.ndarray:
    """Mirror `points` to the other side of the face, in reverse order so that outlines join."""
    return np.asarray(points)[::-1] * (-1, 1)
