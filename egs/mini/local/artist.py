"""Base of the classes that draw parts of a head: the person, the session, the clip and the outline of the face."""

from functools import cached_property

import numpy as np
from canvas import mirrored, smooth
from faces import Expression, Face, Look

DARK = np.array((18, 16, 22.0))


class Artist:
    """One person in one clip."""

    def __init__(self, face: Face, look: Look, expression: Expression) -> None:
        self.face, self.look, self.expression = face, look, expression
        self.s = expression.shape
        self.skin = face.skin

    def random(self, what: int) -> np.random.Generator:
        """Return the random stream for one kind of small detail, identical in all portraits of a person."""
        return np.random.default_rng([self.face.texture_seed, what])

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
