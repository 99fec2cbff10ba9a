"""Pooling a clip's faces by attention on their quality: a blurred face weighs less than a sharp one.

The attention uses two measures that are available when faces are embedded: the norm of a face's embedding, which is
often small for an unclear face (Meng et al., MagFace, CVPR 2021), and its sharpness. `avsv train` with task face_pool
trains their weights. The choice of measures, and attention that is linear in them, are ours. We also tried the
agreement of a face with the other faces of its clip, but blurred faces agree best, and training then favoured faces of
strangers.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import write_json
from avsv.jobs.inputs import regular_file
from avsv.jobs.schema import read_json

MEASURES = ("log magnitude", "log sharpness")
NAME = "face_pool.json"


def face_measures(embeddings: np.ndarray, sharpness: np.ndarray) -> np.ndarray:
    """The attention's input for the faces of one clip.

    Parameters
    ----------
    embeddings : (n, d) float, not normalised
    sharpness : (n,) float, from `avsv.features.quality_measures.sharpness`

    Returns
    -------
    (n, 2) float, `MEASURES`

    Examples
    --------
    >>> face_measures(np.array([[3.0, 4.0], [0.0, 1.0]]), np.array([np.e - 1, 0.0])).round(4).tolist()
    [[1.6094, 1.0], [0.0, 0.0]]
    """
    magnitude = np.maximum(np.linalg.norm(embeddings, axis=1), 1e-12)
    return np.stack([np.log(magnitude), np.log1p(sharpness)], 1)


@dataclass(frozen=True)
class FacePool:
    """Trained attention: the logit of a face is the dot product of `weight` and its standardised measures.

    mean, std : of the measures over the training faces
    weight : of each measure; all 0 for the plain mean
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    weight: tuple[float, ...]

    def attention(self, measures: np.ndarray) -> np.ndarray:
        """Weights of the faces of one clip, (n,) with sum 1, from their measures, (n, 2).

        Examples
        --------
        >>> FacePool((0.0, 0.0), (1.0, 1.0), (1.0, 0.0)).attention(np.log([[3, 1], [1, 1]]))
        array([0.75, 0.25])
        """
        logits = ((measures - np.array(self.mean)) / np.array(self.std)).clip(-5, 5) @ np.array(self.weight)
        shares = np.exp(logits - logits.max())
        return shares / shares.sum()


def save_face_pool(exp_dir: Path | str, pool: FacePool) -> None:
    """Write `face_pool.json`."""
    write_json(Path(exp_dir) / NAME, {"measures": list(MEASURES), **asdict(pool)})


def load_face_pool(exp_dir: Path | str) -> FacePool:
    """Load the attention written by `avsv train`.

    Raises
    ------
    InputError : the folder has no finished training of task face_pool
    """
    path = Path(exp_dir) / NAME
    if not path.exists():
        raise InputError(f"{path}: is absent; is {exp_dir} a finished training of task face_pool?")
    shape = {"measures": [str], "mean": [float], "std": [float], "weight": [float]}
    saved = read_json(regular_file(path), shape, "face_pool of this version of avsv train; train it again")
    pool = FacePool(*(tuple(map(float, saved[key])) for key in ("mean", "std", "weight")))
    sizes = {len(pool.mean), len(pool.std), len(pool.weight), len(MEASURES)}
    if saved["measures"] != list(MEASURES) or len(sizes) > 1 or min(pool.std) <= 0:
        raise InputError(f"{path}: expected measures {list(MEASURES)} and std > 0, found measures {saved['measures']}, "
                        f"std {saved['std']}; train it again with this version of avsv")  # fmt: skip
    return pool
