"""ONNX files with metadata, and the check that such a file computes what the original model computes.

Metadata are pairs of strings, which any ONNX runtime shows. Keys that avsv defines begin with "avsv."; docs/export.md
lists them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import avsv
from avsv.errors import InputError
from avsv.features.onnx_session import brief, session_options
from avsv.jobs.files import whole_file
from avsv.models.onnx import to_onnx

N_INPUTS = 100  # random inputs on which the exported model and the original are compared
SMALLEST = 1e-12  # length of an output below which differences are not divided by it
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Exported:
    """One exported file or folder.

    path : the file or folder
    difference : largest difference from the original on `N_INPUTS` random inputs, in the unit of `agreement`
    bound : the difference that export accepts
    """

    path: Path
    difference: float
    bound: float


def with_metadata(data: bytes, metadata: Mapping[str, Any]) -> bytes:
    """The bytes of an ONNX file with further metadata; earlier entries of the same keys are replaced.

    Parameters
    ----------
    data : the bytes of an ONNX file
    metadata : key -> value, written as text
    """
    import onnx

    model = onnx.load_from_string(data)
    model.producer_name, model.producer_version = "avsv", avsv.__version__
    entries = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, {**entries, **{key: str(value) for key, value in metadata.items()}})
    return model.SerializeToString()


def traced(net: Any, inputs: Mapping[str, Any], outputs: Sequence[str], axes: dict, what: Path | str) -> bytes:
    """The bytes of an ONNX file of a network; arguments as for `to_onnx`.

    Parameters
    ----------
    what : name of the model, for messages

    Raises
    ------
    InputError : the network has an operation without a counterpart in ONNX
    """
    try:
        return to_onnx(net, inputs, outputs, axes)
    except Exception as error:  # torch's exporter raises many types
        raise InputError(f"{what}: cannot be exported to ONNX: {type(error).__name__}: {brief(error)}") from None


def open_onnx(data: bytes) -> Callable[[Arrays], list[np.ndarray]]:
    """A function from the named inputs to the outputs of an ONNX file, on one thread of the CPU.

    Raises
    ------
    InputError : ONNX Runtime cannot load the file
    """
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(data, session_options(1), providers=["CPUExecutionProvider"])
    except Exception as error:  # from onnxruntime
        raise InputError(f"ONNX Runtime cannot load the exported network: {brief(error)}") from None

    def run(inputs: Arrays) -> list[np.ndarray]:
        try:
            return session.run(None, dict(inputs))
        except Exception as error:  # from onnxruntime
            raise InputError(f"ONNX Runtime cannot run the exported network: {brief(error)}") from None

    return run


def agreement(pairs: Iterable[tuple[np.ndarray, np.ndarray]], relative: bool = True) -> float:
    """The largest difference of any output from the original's; infinite if one is not finite.

    Parameters
    ----------
    pairs : outputs of the exported and of the original model, (n, d) float each
    relative : divide each row's difference by the length of the original's row, as only directions of embeddings count

    Examples
    --------
    >>> agreement([(np.array([[3.0, 4.5]]), np.array([[3.0, 4.0]]))])
    0.1
    """
    largest = 0.0
    for ours, original in pairs:
        if ours.shape != original.shape or (np.isnan(ours) != np.isnan(original)).any():
            return float("inf")
        difference = np.nan_to_num(np.abs(ours.astype(np.float64) - original), nan=0.0).max(-1)
        if relative:
            difference = difference / np.maximum(np.linalg.norm(original.astype(np.float64), axis=-1), SMALLEST)
        largest = max(largest, float(difference.max()))
    return largest


def refuse_disagreement(what: Path | str, difference: float, bound: float) -> None:
    """Raise InputError if an exported model differs too much from the original."""
    if not difference <= bound:
        raise InputError(f"{what}: was not exported: its output differs from the original's by {difference:.2g} on "
                         f"{N_INPUTS} random inputs; the limit is {bound:.0e}. Please report it with the model's "
                         "configuration")  # fmt: skip


def write_onnx(path: Path, data: bytes, metadata: Mapping[str, Any], difference: float, bound: float) -> Exported:
    """Write an ONNX file with its metadata and the agreement, atomically.

    Raises
    ------
    InputError : the difference exceeds the bound; nothing is written
    """
    refuse_disagreement(path, difference, bound)
    measured = {"avsv.difference": f"{difference:.2e}", "avsv.inputs_compared": N_INPUTS}
    with whole_file(path, "wb") as out:
        out.write(with_metadata(data, {"avsv.version": avsv.__version__, **metadata, **measured}))
    return Exported(path, difference, bound)


def lengths(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """`N_INPUTS` random lengths, uniform in their logarithm: (100,) int.

    Examples
    --------
    >>> found = lengths(np.random.default_rng(0), 10, 1000)
    >>> len(found), int(found.min()), int(found.max())
    (100, 10, 987)
    """
    return np.exp(rng.uniform(np.log(low), np.log(high), N_INPUTS)).astype(int)
