"""Helpers for training on images: the batches of an epoch, and random geometric and colour augmentation."""

import cv2
import numpy as np
import torch

from avsv.features.faces import SIDE


def plan_batches(items: list[int], batch_size: int, seed: int, epoch: int) -> list[list[tuple[int, int]]]:
    """Batches of (item, seed) pairs in a random order that depends on the seed and the epoch alone.

    All batches are full, because batch norm needs full ones; the remaining items are skipped in this epoch.

    Examples
    --------
    >>> [len(batch) for batch in plan_batches(list(range(7)), 3, seed=0, epoch=0)]
    [3, 3]
    """
    rng = np.random.default_rng([seed, epoch])
    size = min(batch_size, len(items))
    order, seeds = rng.permutation(items), rng.integers(0, 2**62, len(items))
    pairs = [(int(item), int(s)) for item, s in zip(order, seeds, strict=True)]
    return [pairs[i : i + size] for i in range(0, len(pairs) - size + 1, size)]


def move_matrix(
    centre: tuple[float, float], target: tuple[float, float], scale: float, degrees: float, flip: bool
) -> np.ndarray:
    """Mirror, rotate and scale about `centre`, then move it to `target`; (2, 3) float64 for cv2.warpAffine.

    Examples
    --------
    >>> move_matrix((10, 10), (0, 0), 2.0, 0.0, flip=False).round(6)
    array([[  2.,   0., -20.],
           [  0.,   2., -20.]])
    """
    angle = np.deg2rad(degrees)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([-1.0 if flip else 1.0, 1.0])
    return np.hstack([turn, (np.array(target) - turn @ np.array(centre))[:, None]])


def change_colour(image: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Random brightness, contrast and colour cast, and occasional conversion to grey.

    Parameters
    ----------
    image : (h, w, 3) uint8
    strength : 0 for none; 0.3 varies brightness and contrast by about 30 %
    """
    values = image.astype(np.float32)
    if rng.random() < 0.2 * strength:
        values = values @ np.full((3, 3), 1 / 3, np.float32)
    gain = np.exp(rng.normal(0, strength / 2) + rng.normal(0, strength / 6, 3)).astype(np.float32)
    middle = values.mean()
    contrast = np.exp(rng.normal(0, strength / 2))
    values = ((values - middle) * contrast + middle + rng.normal(0, 60 * strength / 2)) * gain
    return values.clip(0, 255).astype(np.uint8)


def vary_face(face: np.ndarray, rng: np.random.Generator, shift: float, zoom: float, rotation: float,
              colour: float) -> np.ndarray:  # fmt: skip
    """Move, mirror and recolour an aligned face at random, to mimic errors of alignment and differences of cameras.

    Parameters
    ----------
    face : (112, 112, 3) uint8 BGR
    shift, zoom, rotation : standard deviations in pixels, share of the size, and degrees
    colour : strength for `change_colour`
    """
    middle = SIDE / 2
    x, y, log_zoom, degrees = rng.normal(size=4) * [shift, shift, zoom, rotation]
    target, flip = (middle + x, middle + y), bool(rng.random() < 0.5)
    matrix = move_matrix((middle, middle), target, float(np.exp(log_zoom)), degrees, flip)
    return change_colour(warp(face, matrix, SIDE), rng, colour)


def warp(image: np.ndarray, matrix: np.ndarray, side: int, replicate: bool = False) -> np.ndarray:
    """Warp an image to a square of `side` pixels; `replicate` extends its edges, otherwise the border is black."""
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return cv2.warpAffine(image, matrix, (side, side), borderMode=border)


def fast_layout(model: torch.nn.Module) -> torch.memory_format:
    """The memory layout for training a convolutional network: channels-last is three times as fast on a CPU.

    Narrow networks keep the default layout: with 8 or 12 channels the CPU kernels of torch 2.13 segfault.
    """
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    widths = [m.out_channels for m in model.modules() if isinstance(m, kinds) and m.kernel_size != (1, 1)]
    return torch.contiguous_format if any(width < 16 or width % 8 for width in widths) else torch.channels_last


def to_input(image: np.ndarray) -> torch.Tensor:
    """(h, w, 3) uint8 BGR -> (3, h, w) uint8 RGB. Scaling happens on the device: transferring bytes is faster."""
    return torch.from_numpy(np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)))
