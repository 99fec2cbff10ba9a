"""A PLDA back-end as the three files of Kaldi's recipes: mean.vec, transform.mat and plda, in Kaldi's binary form.

Kaldi's ivector-subtract-global-mean, transform-vec, ivector-normalize-length and ivector-plda-scoring
--normalize-length=false read them; what Kaldi's own training wrote is read here, binary or text.
"""

from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import whole_file
from avsv.kaldi.matrices import BINARY, NotKaldi, decode, decode_text, encode, read_array, write_array
from avsv.scoring.plda import Gaussians, Plda

OPEN, CLOSE = b"<Plda>", b"</Plda>"


def write_plda(folder: Path | str, plda: Plda) -> None:
    """Write `mean.vec` and `transform.mat` (float, as Kaldi's tools do) and `plda` (double)."""
    folder = Path(folder)
    write_array(folder / "mean.vec", plda.center.astype("<f4"))
    write_array(folder / "transform.mat", plda.reduce.astype("<f4"))
    write_gaussians(folder / "plda", plda.gaussians)


def read_plda(folder: Path | str) -> Plda:
    """Read the back-end in a folder.

    A `transform.mat` with one more column than the embeddings have values ends with an offset, as Kaldi's LDA writes
    it; it becomes part of the mean.

    Raises
    ------
    UserError : a file is absent or damaged, or their sizes do not fit
    """
    folder = Path(folder)
    if absent := [name for name in ("mean.vec", "transform.mat", "plda") if not (folder / name).is_file()]:
        raise UserError(f"{folder}: no {', '.join(absent)}; expected the folder that avsv plda makes")
    center, reduce = read_array(folder / "mean.vec"), read_array(folder / "transform.mat")
    gaussians = read_gaussians(folder / "plda")
    if center.ndim != 1 or reduce.ndim != 2 or len(reduce) != len(gaussians.psi):
        raise UserError(
            f"{folder}: sizes do not fit: mean.vec {center.shape}, transform.mat {reduce.shape}, "
            f"plda {gaussians.transform.shape}"
        )
    center = center.astype(np.float64)
    if reduce.shape[1] == len(center) + 1:
        reduce, offset = reduce[:, :-1], reduce[:, -1]
        center = center - np.linalg.lstsq(reduce, offset, rcond=None)[0]
    if reduce.shape[1] != len(center):
        raise UserError(f"{folder}: mean.vec has {len(center)} values, transform.mat is for {reduce.shape[1]}")
    return Plda(center, reduce.astype(np.float64), gaussians)


def write_gaussians(path: Path | str, gaussians: Gaussians) -> None:
    """Write Kaldi's `plda` file: mean, transform and psi, double, binary."""
    parts = (gaussians.mean, gaussians.transform, gaussians.psi)
    with whole_file(path, "wb") as out:
        out.write(BINARY + OPEN + b" " + b"".join(encode(part.astype("<f8")) for part in parts) + CLOSE + b" ")


def read_gaussians(path: Path | str) -> Gaussians:
    """Read Kaldi's `plda` file, binary or text."""
    data = Path(path).read_bytes()
    binary = data.startswith(BINARY)
    place = data.find(OPEN)
    try:
        if place not in (0, 2):
            raise NotKaldi(f"expected {OPEN.decode()} at its start")
        place += len(OPEN) + binary
        parts = []
        for _ in range(3):
            part, place = decode(data, place) if binary else decode_text(data, place)
            parts.append(part.astype(np.float64))
        if data[place:].strip() != CLOSE:
            raise NotKaldi(f"expected {CLOSE.decode()} at its end")
        mean, transform, psi = parts
        if not (mean.shape == psi.shape == transform.shape[:1] == transform.shape[1:]):
            raise NotKaldi(f"sizes do not fit: mean {mean.shape}, transform {transform.shape}, psi {psi.shape}")
    except NotKaldi as error:
        raise UserError(f"{path}: is no PLDA model of Kaldi: {error}") from None
    return Gaussians(mean, transform, psi)
