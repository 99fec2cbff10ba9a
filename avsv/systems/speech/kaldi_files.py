"""Kaldi's binary files of this system: final.dubm (DiagGmm), final.ubm (FullGmm) and final.ie (IvectorExtractor).

Each is NUL `B`, then tokens that end in a space, before vectors and matrices in the form of kaldi/matrices.py. GMMs
hold weights, means times inverse covariances, and inverse covariances, in float; an extractor is in double.
"""

import struct
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.jobs.inputs import read_bytes
from avsv.kaldi.matrices import BINARY, NotKaldi, decode, decode_symmetric, encode, encode_symmetric
from avsv.systems.speech.extractor import Extractor
from avsv.systems.speech.gmm import LOG_2PI, DiagGmm, FullGmm, log_weights

MOST_GAUSSIANS = 1 << 20


class Reader:
    """Reads the parts of a file one after another; each raises NotKaldi if something else is there."""

    def __init__(self, data: bytes):
        self.data, self.place = data, len(BINARY)
        if not data.startswith(BINARY):
            raise NotKaldi("it does not begin with NUL B; text is converted by Kaldi's gmm-global-copy, "
                           "fgmm-global-copy and ivector-extractor-copy")  # fmt: skip

    def token(self) -> str:
        end = self.data.find(b" ", self.place, self.place + 40)
        token = self.data[self.place : end]
        if end < 0 or not token.startswith(b"<"):
            raise NotKaldi(f"expected a token at byte {self.place}, found {bytes(self.data[self.place :][:20])!r}")
        self.place = end + 1
        return token.decode("ascii", "replace")

    def expect(self, *tokens: str) -> None:
        if (found := self.token()) not in tokens:
            raise NotKaldi(f"expected {' or '.join(tokens)}, found {found}")

    def array(self) -> np.ndarray:
        array, self.place = decode(self.data, self.place)
        return array.astype(np.float64)

    def symmetric(self) -> np.ndarray:
        array, self.place = decode_symmetric(self.data, self.place)
        return array.astype(np.float64)

    def number(self, form: str, size: int) -> float:
        part = self.data[self.place : self.place + 1 + size]
        if len(part) < 1 + size or part[0] != size:
            raise NotKaldi(f"expected a number of {size} bytes at byte {self.place}")
        self.place += 1 + size
        return struct.unpack(form, part[1:])[0]

    def end(self) -> None:
        if self.place != len(self.data):
            raise NotKaldi(f"{len(self.data) - self.place} bytes follow its end")


def read_diag_gmm(path: Path | str) -> DiagGmm:
    """Read Kaldi's DiagGmm, such as final.dubm; InputError if the file is absent, damaged or something else."""

    def parse(reader: Reader) -> DiagGmm:
        weights = begin_gmm(reader, "DiagGMM")
        reader.expect("<MEANS_INVVARS>")
        products = reader.array()
        reader.expect("<INV_VARS>")
        precisions = reader.array()
        reader.expect("</DiagGMM>", "<DiagGMMEnd>")
        if products.ndim != 2 or products.shape != precisions.shape or products.shape[:1] != weights.shape:
            raise NotKaldi("the sizes of its parts do not match")
        if not (precisions > 0).all():
            raise NotKaldi("it has variances that are not positive")
        with np.errstate(over="ignore", invalid="ignore"):  # read_model refuses the result
            return DiagGmm(weights, products / precisions, 1 / precisions)

    return read_model(path, parse, "a diagonal GMM")


def read_full_gmm(path: Path | str) -> FullGmm:
    """Read Kaldi's FullGmm, such as final.ubm; InputError if the file is absent, damaged or something else."""

    def parse(reader: Reader) -> FullGmm:
        weights = begin_gmm(reader, "FullGMM")
        reader.expect("<MEANS_INVCOVARS>")
        products = reader.array()
        reader.expect("<INV_COVARS>")
        precisions = [reader.symmetric() for _ in range(len(weights))]
        reader.expect("</FullGMM>", "<FullGMMEnd>")
        if products.ndim != 2 or products.shape[:1] != weights.shape:
            raise NotKaldi("the sizes of its parts do not match")
        if any(len(precision) != products.shape[1] for precision in precisions):
            raise NotKaldi("the sizes of its parts do not match")
        covariances = inverses(np.array(precisions))
        return FullGmm(weights, np.einsum("kij,kj->ki", covariances, products), covariances)

    return read_model(path, parse, "a full-covariance GMM")


def read_extractor(path: Path | str) -> Extractor:
    """Read Kaldi's IvectorExtractor, such as final.ie.

    Raises
    ------
    InputError : the file is absent, damaged or something else, or has weights that depend on the i-vector
    """

    def parse(reader: Reader) -> Extractor:
        reader.expect("<IvectorExtractor>")
        reader.expect("<w>")
        if reader.array().size:
            raise NotKaldi("its weights depend on the i-vector (--use-weights=true), which avsv does not support")
        reader.expect("<w_vec>")
        weights = reader.array()
        reader.expect("<M>")
        n = int(reader.number("<i", 4))
        if not 1 <= n <= MOST_GAUSSIANS:
            raise NotKaldi(f"it declares {n} Gaussians")
        projections = [reader.array() for _ in range(n)]
        reader.expect("<SigmaInv>")
        precisions = [reader.symmetric() for _ in range(n)]
        reader.expect("<IvectorOffset>")
        offset = reader.number("<d", 8)
        reader.expect("</IvectorExtractor>")
        shapes = {(part.shape, precision.shape) for part, precision in zip(projections, precisions, strict=True)}
        d, r = projections[0].shape if projections[0].ndim == 2 else (0, 0)
        if weights.shape != (n,) or shapes != {((d, r), (d, d))} or not d or not r:
            raise NotKaldi("the sizes of its parts do not match")
        inverses(np.array(precisions))  # checks them
        return Extractor(weights, np.array(projections), np.array(precisions), offset)

    return read_model(path, parse, "an i-vector extractor")


def read_model(path: Path | str, parse, what: str):
    """Parse a whole file; InputError says what was expected and where it went wrong."""
    try:
        reader = Reader(read_bytes(path))
        model = parse(reader)
        reader.end()
        parts = [getattr(model, name) for name in model.__dataclass_fields__]
        if not all(np.isfinite(part).all() for part in parts) or (model.weights < 0).any() or not model.weights.sum():
            raise NotKaldi("it has values that are not finite, or no positive weight")
    except NotKaldi as error:
        raise InputError(f"{path}: expected {what} in Kaldi's binary format: {error}") from None
    return model


def begin_gmm(reader: Reader, kind: str) -> np.ndarray:
    """The weights of a GMM; its constants before them are optional and not used."""
    reader.expect(f"<{kind}>", f"<{kind}Begin>")
    if (token := reader.token()) == "<GCONSTS>":
        reader.array()
        token = reader.token()
    if token != "<WEIGHTS>":
        raise NotKaldi(f"expected <WEIGHTS>, found {token}")
    return reader.array()


def inverses(precisions: np.ndarray) -> np.ndarray:
    """Inverses of positive definite matrices; raises NotKaldi for others."""
    try:
        np.linalg.cholesky(precisions)
        inverse = np.linalg.inv(precisions)
    except np.linalg.LinAlgError:
        raise NotKaldi("it has a covariance that is not positive definite") from None
    return (inverse + inverse.transpose(0, 2, 1)) / 2


def write_diag_gmm(path: Path | str, gmm: DiagGmm) -> None:
    """Write Kaldi's DiagGmm."""
    precisions = 1 / gmm.variances
    write_parts(path, "DiagGMM", {"GCONSTS": gmm.constants, "WEIGHTS": gmm.weights,
                                  "MEANS_INVVARS": gmm.means * precisions, "INV_VARS": precisions}, [])  # fmt: skip


def write_full_gmm(path: Path | str, gmm: FullGmm) -> None:
    """Write Kaldi's FullGmm."""
    precisions = np.linalg.inv(gmm.covariances)
    products = np.einsum("kij,kj->ki", precisions, gmm.means)
    fit = np.linalg.slogdet(gmm.covariances)[1] + (products * gmm.means).sum(axis=1)
    constants = log_weights(gmm.weights) - 0.5 * (gmm.means.shape[1] * LOG_2PI + fit)
    write_parts(path, "FullGMM", {"GCONSTS": constants, "WEIGHTS": gmm.weights, "MEANS_INVCOVARS": products,
                                  "INV_COVARS": None}, precisions)  # fmt: skip


def write_parts(path: Path | str, kind: str, parts: dict[str, np.ndarray | None], symmetric) -> None:
    with whole_file(path, "wb") as out:
        out.write(BINARY + f"<{kind}> ".encode())
        for name, part in parts.items():
            out.write(f"<{name}> ".encode() + (b"" if part is None else encode(part.astype("<f4"))))
        out.writelines(encode_symmetric(part.astype("<f4")) for part in symmetric)
        out.write(f"</{kind}> ".encode())


def write_extractor(path: Path | str, extractor: Extractor) -> None:
    """Write Kaldi's IvectorExtractor."""
    with whole_file(path, "wb") as out:
        out.write(BINARY + b"<IvectorExtractor> <w> " + encode(np.empty((0, 0), "<f8")))
        out.write(b"<w_vec> " + encode(extractor.weights.astype("<f8")))
        out.write(b"<M> " + struct.pack("<bi", 4, len(extractor.projections)))
        out.writelines(encode(part.astype("<f8")) for part in extractor.projections)
        out.write(b"<SigmaInv> ")
        out.writelines(encode_symmetric(part.astype("<f8")) for part in extractor.precisions)
        out.write(b"<IvectorOffset> " + struct.pack("<bd", 8, extractor.offset) + b"</IvectorExtractor> ")
