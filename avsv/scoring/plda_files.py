"""A PLDA back-end as the three files of Kaldi's recipes: mean.vec, transform.mat and plda, binary or text.

Kaldi's ivector-subtract-global-mean, transform-vec, ivector-normalize-length and ivector-plda-scoring
--normalize-length=false read them; what Kaldi's own training wrote is read here, binary or text.
"""

from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.files import whole_file
from avsv.kaldi.matrices import BINARY, NotKaldi, decode, decode_text, encode, encode_text
from avsv.scoring.plda import Gaussians, Plda
from avsv.scoring.projection import read_projection, write_projection

OPEN, CLOSE = b"<Plda>", b"</Plda>"


def write_plda(folder: Path | str, plda: Plda, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat` (float, as Kaldi's tools do) and `plda` (double); or all as text."""
    write_projection(folder, plda.projection, text)
    write_gaussians(Path(folder) / "plda", plda.gaussians, text)


def read_plda(folder: Path | str) -> Plda:
    """Read the back-end in a folder; see `read_projection` for a transform.mat that ends with an offset.

    Raises
    ------
    UserError : a file is absent or damaged, or their sizes do not fit
    """
    folder = Path(folder)
    if absent := [name for name in ("mean.vec", "transform.mat", "plda") if not (folder / name).is_file()]:
        raise UserError(f"{folder}: no {', '.join(absent)}; expected the folder that avsv plda makes")
    projection = read_projection(folder / "mean.vec", folder / "transform.mat")
    gaussians = read_gaussians(folder / "plda")
    if len(projection.transform) != len(gaussians.psi):
        given, wanted = len(projection.transform), len(gaussians.psi)
        raise UserError(f"{folder}: transform.mat gives vectors of {given} values, plda is for {wanted}")
    return Plda(projection, gaussians)


def write_gaussians(path: Path | str, gaussians: Gaussians, text: bool = False) -> None:
    """Write Kaldi's `plda` file: mean, transform and psi; double and binary, or text as with Kaldi's --binary=false."""
    parts = [part.astype("<f8") for part in (gaussians.mean, gaussians.transform, gaussians.psi)]
    with whole_file(path, "wb") as out:
        out.write((b"" if text else BINARY) + OPEN + b" ")
        out.writelines(encode_text(part) if text else encode(part) for part in parts)
        out.write(CLOSE + b" ")


def read_gaussians(path: Path | str) -> Gaussians:
    """Read Kaldi's `plda` file, binary or text; UserError where it is something else or damaged."""
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
        if not all(np.isfinite(part).all() for part in parts) or (psi < 0).any():
            raise NotKaldi("it holds values that are not finite, or a negative variance")
    except NotKaldi as error:
        raise UserError(f"{path}: is no PLDA model of Kaldi: {error}") from None
    return Gaussians(mean, transform, psi)
