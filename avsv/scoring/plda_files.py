"""A PLDA back-end as the three files of Kaldi's recipes: mean.vec, transform.mat and plda, binary or text.

Kaldi's ivector-subtract-global-mean, transform-vec, ivector-normalize-length and ivector-plda-scoring read them; what
Kaldi's own training wrote is read here, binary or text.
"""

import logging
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.matrices import BINARY, NotKaldi, decode, decode_text, encode, encode_text
from avsv.scoring.plda import Gaussians, Plda
from avsv.scoring.projection import Projection, read_projection, write_projection

log = logging.getLogger("avsv")
SINGULAR = 1e-14  # share of the largest singular value
OPEN, CLOSE = b"<Plda>", b"</Plda>"


def write_plda(folder: Path | str, plda: Plda, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat` (float, as Kaldi's tools do) and `plda` (double); or all as text."""
    with replaced_together(Path(folder) / "plda"):
        write_projection(folder, plda.projection, text)
        write_gaussians(Path(folder) / "plda", plda.gaussians, text)


def read_plda(path: Path | str, length: str = "sqrt-dim") -> Plda:
    """Read a back-end: a folder with `plda` and, where they are there, mean.vec and transform.mat; or a bare plda file.

    Parameters
    ----------
    length : what vectors are scaled to before the model, see `plda.fixed_length`; the files do not tell

    Raises
    ------
    InputError : a file is absent or damaged, or their sizes do not fit
    """
    path = Path(path)
    folder, file = (path, path / "plda") if path.is_dir() else (path.parent, path)
    if not file.exists():
        absent = [name for name in ("mean.vec", "transform.mat", "plda") if not (path / name).exists()]
        raise InputError(f"{path}: no {', '.join(absent)}; expected the folder that avsv plda makes, or Kaldi's "
                        "plda file")  # fmt: skip
    beside = {name: folder / name for name in ("mean.vec", "transform.mat") if (folder / name).exists()}
    absent = [name for name in ("mean.vec", "transform.mat") if name not in beside]
    if path.is_dir():
        projection = read_projection(*(beside.get(name) for name in ("mean.vec", "transform.mat")))
        if absent:
            log.warning("%s: no %s: embeddings are taken without", path, " and no ".join(absent))
    else:
        projection = Projection(None)
        if beside:
            log.warning(
                "%s: is applied without %s beside it; give the folder to apply them", path, " and ".join(beside)
            )
    gaussians = read_gaussians(file)
    given, wanted = projection.size, len(gaussians.psi)
    if given is not None and given != wanted:
        if absent:
            raise InputError(f"{folder}: no {', '.join(absent)}; expected the folder that avsv plda makes, for "
                            f"{next(iter(beside))} gives vectors of {given} values, plda is for {wanted}")  # fmt: skip
        raise InputError(f"{folder}: transform.mat gives vectors of {given} values, plda is for {wanted}")
    return Plda(projection, gaussians, length)


def write_gaussians(path: Path | str, gaussians: Gaussians, text: bool = False) -> None:
    """Write Kaldi's `plda` file: mean, transform and psi; double and binary, or text as with Kaldi's --binary=false."""
    if wrong := degenerate(gaussians):
        raise InputError(f"{path}: the model is degenerate, so nothing was written: {wrong}")
    parts = [part.astype("<f8") for part in (gaussians.mean, gaussians.transform, gaussians.psi)]
    with whole_file(path, "wb") as out:
        out.write((b"" if text else BINARY) + OPEN + b" ")
        out.writelines(encode_text(part) if text else encode(part) for part in parts)
        out.write(CLOSE + b" ")


def degenerate(gaussians: Gaussians) -> str | None:
    """Why a model cannot score anything; None where it can."""
    parts = gaussians.mean, gaussians.transform, gaussians.psi
    if not all(np.isfinite(part).all() for part in parts) or (gaussians.psi < 0).any():
        return "it holds values that are not finite, or a negative variance"
    scales = np.linalg.svd(gaussians.transform, compute_uv=False)
    if not len(scales) or scales[-1] <= SINGULAR * scales[0]:
        return "its transform is singular"
    return None


def read_gaussians(path: Path | str) -> Gaussians:
    """Read Kaldi's `plda` file, binary or text; InputError where it is something else or damaged."""
    data = read_bytes(path)
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
        if wrong := degenerate(Gaussians(mean, transform, psi)):
            raise NotKaldi(wrong)
    except NotKaldi as error:
        raise InputError(f"{path}: is no PLDA model of Kaldi: {error}") from None
    return Gaussians(mean, transform, psi)
