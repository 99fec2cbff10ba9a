"""Example embeddings that the tests save in the formats of other programs."""

import numpy as np

NAMES = ["id2/v/1", "id1/w/1", "id1/v/1"]
VECTORS = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)


def is_ours(result, tolerance=0.0):
    return result.ids == NAMES and np.abs(result.vectors - VECTORS).max() <= tolerance
