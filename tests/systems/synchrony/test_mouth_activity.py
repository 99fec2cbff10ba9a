"""Visual voice activity on synthetic mouths, talking and still."""

import numpy as np
import pytest

from avsv.features.faces import TEMPLATE
from avsv.systems.synchrony.mouth_activity import mouth_activity, mouth_motion
from avsv.systems.synchrony.mouths import Mouths, cut_mouth
from tests.systems.synchrony.talking import draw, talk


def mouths(openings, move=0.0, noise=3.0):
    """Crop mouths from a synthetic face with camera noise, with crops that jitter by `move` pixels."""
    rng = np.random.default_rng(0)
    cuts = []
    for opening in openings:
        cut = cut_mouth(draw([opening]), TEMPLATE + 24 + move * rng.normal(size=2))
        cuts.append((cut + noise * rng.normal(size=cut.shape)).clip(0, 255).astype(np.uint8))
    return Mouths(np.stack(cuts), np.arange(len(cuts)) / 25)


def test_a_talking_mouth_is_active_and_a_still_one_is_not():
    assert mouth_activity(mouths(talk(np.random.default_rng(1), 50))).mean() > 0.9
    assert not mouth_activity(mouths([0.3] * 50)).any()


def test_activity_begins_and_ends_with_the_talking():
    openings = [*[0.0] * 40, *talk(np.random.default_rng(1), 50), *[0.0] * 40]
    active = mouth_activity(mouths(openings))
    assert not active[:30].any() and active[45:85].mean() > 0.9 and not active[100:].any()


@pytest.mark.parametrize("fps", [24, 30, 50])
def test_activity_has_25_values_per_second_at_any_frame_rate(fps):
    still = mouths([0.3] * 60)
    assert len(mouth_activity(Mouths(still.images, np.arange(60) / fps))) == pytest.approx(60 / fps * 25, abs=1)


def test_constant_images_do_not_divide_by_zero():
    assert np.isfinite(mouth_motion(Mouths(np.zeros((10, 60, 100), np.uint8), np.arange(10) / 25))).all()
