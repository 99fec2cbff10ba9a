"""A PLDA back-end in the three files of Kaldi's recipes: mean.vec, transform.mat and plda, binary or text.

Kaldi's ivector-subtract-global-mean, transform-vec, ivector-normalize-length and ivector-plda-scoring read the files
written here, and files from Kaldi's own training are read here.
"""

import logging
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.fingerprints import digest, file_digest
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.matrices import BINARY, NotKaldi, decode, decode_text, encode, encode_text
from avsv.scoring.plda import Gaussians, Plda
from avsv.scoring.projection import Projection, read_projection, write_projection

log = logging.getLogger("avsv")
SINGULAR = 1e-14  # ratio to the largest singular value below which a transform is singular
OPEN, CLOSE = b"<Plda>", b"</Plda>"


def write_plda(folder: Path | str, plda: Plda, text: bool = False) -> None:
    """Write `mean.vec` and `transform.mat` (float, as Kaldi's tools do) and `plda` (double), all binary or all text.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> model = Gaussians(np.zeros(1), np.eye(1), np.array([3.0]))
    >>> write_plda(folder, Plda(Projection(np.zeros(2), np.array([[1.0, 0.0]])), model))
    >>> read_plda(folder).gaussians.psi
    array([3.])
    """
    with replaced_together(Path(folder) / "plda"):
        write_projection(folder, plda.projection, text)
        write_gaussians(Path(folder) / "plda", plda.gaussians, text)


def read_plda(path: Path | str, length: str = "sqrt-dim") -> Plda:
    """Read a back-end: a folder with `plda` and optionally mean.vec and transform.mat, or a plda file alone.

    Parameters
    ----------
    length : length that vectors are scaled to before the model, see `plda.fixed_length`; the files do not record it

    Raises
    ------
    InputError : a file is absent or damaged, or the sizes do not match
    """
    path = Path(path)
    folder, file = (path, path / "plda") if path.is_dir() else (path.parent, path)
    if not file.exists():
        absent = [name for name in ("mean.vec", "transform.mat", "plda") if not (path / name).exists()]
        raise InputError(f"{path}: has no {', '.join(absent)}; expected a folder that avsv plda wrote, or Kaldi's plda "
                        "file")  # fmt: skip
    present = {name: folder / name for name in ("mean.vec", "transform.mat") if (folder / name).exists()}
    absent = [name for name in ("mean.vec", "transform.mat") if name not in present]
    if path.is_dir():
        projection = read_projection(*(present.get(name) for name in ("mean.vec", "transform.mat")))
        if absent:
            log.warning("%s: without %s, embeddings are not centred or transformed", path, " and ".join(absent))
    else:
        projection = Projection(None)
        if present:
            log.warning(
                "%s: applied without %s in the same folder; give the folder to apply them", path, " and ".join(present)
            )
    gaussians = read_gaussians(file)
    given, expected = projection.size, len(gaussians.psi)
    if given is not None and given != expected:
        if absent:
            raise InputError(f"{folder}: has no {', '.join(absent)}: {next(iter(present))} gives vectors of {given} "
                            f"values, plda expects {expected}")  # fmt: skip
        raise InputError(f"{folder}: transform.mat gives vectors of {given} values, plda expects {expected}")
    return Plda(projection, gaussians, length)


def plda_digest(path: Path | str) -> str:
    """Short hash of a back-end, a folder or Kaldi's file, as part of the name of its scores."""
    path = Path(path)
    files = [path / name for name in ("plda", "mean.vec", "transform.mat")] if path.is_dir() else [path]
    return digest([file_digest(file) for file in files if file.exists()])[:8]


def write_gaussians(path: Path | str, gaussians: Gaussians, text: bool = False) -> None:
    """Write Kaldi's `plda` file (mean, transform and psi) in double precision, binary or text.

    Raises
    ------
    InputError : the model is degenerate; then nothing is written
    """
    if wrong := degenerate(gaussians):
        raise InputError(f"{path}: not written, because the model is degenerate: {wrong}")
    parts = [part.astype("<f8") for part in (gaussians.mean, gaussians.transform, gaussians.psi)]
    with whole_file(path, "wb") as out:
        out.write((b"" if text else BINARY) + OPEN + b" ")
        out.writelines(encode_text(part) if text else encode(part) for part in parts)
        out.write(CLOSE + b" ")


def degenerate(gaussians: Gaussians) -> str | None:
    """Why a model cannot score anything, or None if it can."""
    parts = gaussians.mean, gaussians.transform, gaussians.psi
    if not all(np.isfinite(part).all() for part in parts) or (gaussians.psi < 0).any():
        return "it has values that are not finite, or a negative variance"
    scales = np.linalg.svd(gaussians.transform, compute_uv=False)
    if not len(scales) or scales[-1] <= SINGULAR * scales[0]:
        return "its transform is singular"
    return None


def read_gaussians(path: Path | str) -> Gaussians:
    """Read Kaldi's `plda` file, binary or text; raises InputError for any other or a damaged file."""
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
            raise NotKaldi(f"sizes do not match: mean {mean.shape}, transform {transform.shape}, psi {psi.shape}")
        if wrong := degenerate(Gaussians(mean, transform, psi)):
            raise NotKaldi(wrong)
    except NotKaldi as error:
        raise InputError(f"{path}: expected a PLDA model in Kaldi's format: {error}") from None
    return Gaussians(mean, transform, psi)
