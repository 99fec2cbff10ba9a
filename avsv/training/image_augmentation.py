"""What trainings on pictures share: batches of one epoch, and random changes of place and colour."""

import cv2
import numpy as np
import torch

from avsv.features.faces import SIDE


def plan_batches(items: list[int], batch_size: int, seed: int, epoch: int) -> list[list[tuple[int, int]]]:
    """Batches of (item, seed) pairs, a random order for each epoch and the same one whenever it is asked for.

    Only full batches: what is left over is left out this time, for batch norm wants full ones.

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
    """Mirror, turn and scale about `centre` and bring that to `target`; (2, 3) float64, as cv2.warpAffine takes it.

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


def change_colour(picture: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """Random brightness, contrast, colour cast, and grey now and then.

    Parameters
    ----------
    picture : (h, w, 3) uint8
    strength : 0 for none; 0.3 lets brightness and contrast vary by 30 % or so
    """
    values = picture.astype(np.float32)
    if rng.random() < 0.2 * strength:
        values = values @ np.full((3, 3), 1 / 3, np.float32)
    gain = np.exp(rng.normal(0, strength / 2) + rng.normal(0, strength / 6, 3)).astype(np.float32)
    middle = values.mean()
    contrast = np.exp(rng.normal(0, strength / 2))
    values = ((values - middle) * contrast + middle + rng.normal(0, 60 * strength / 2)) * gain
    return values.clip(0, 255).astype(np.uint8)


def vary_face(face: np.ndarray, rng: np.random.Generator, shift: float, zoom: float, rotation: float,
              colour: float) -> np.ndarray:  # fmt: skip
    """An aligned face moved, mirrored and recoloured, as alignment and cameras vary.

    Parameters
    ----------
    face : (112, 112, 3) uint8 BGR
    shift, zoom, rotation : standard deviations: pixels, share of the size, degrees
    colour : as `change_colour` has it
    """
    middle = SIDE / 2
    x, y, log_zoom, degrees = rng.normal(size=4) * [shift, shift, zoom, rotation]
    target, flip = (middle + x, middle + y), bool(rng.random() < 0.5)
    matrix = move_matrix((middle, middle), target, float(np.exp(log_zoom)), degrees, flip)
    return change_colour(warp(face, matrix, SIDE), rng, colour)


def warp(picture: np.ndarray, matrix: np.ndarray, side: int, replicate: bool = False) -> np.ndarray:
    """A square of `side` pixels; beyond the picture it is black, or like the picture's edge."""
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return cv2.warpAffine(picture, matrix, (side, side), borderMode=border)


def fast_layout(model: torch.nn.Module) -> torch.memory_format:
    """The memory layout for training a convolutional network: channels last is three times as fast on a CPU.

    Not for narrow networks: with 8 or 12 channels the CPU kernels of torch 2.13 end in a segmentation fault.
    """
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    widths = [m.out_channels for m in model.modules() if isinstance(m, kinds) and m.kernel_size != (1, 1)]
    return torch.contiguous_format if any(width < 16 or width % 8 for width in widths) else torch.channels_last


def to_input(picture: np.ndarray) -> torch.Tensor:
    """(h, w, 3) uint8 BGR -> (3, h, w) uint8 RGB; scaled on the device, for bytes travel faster."""
    return torch.from_numpy(np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1)))
