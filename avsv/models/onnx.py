"""Export of networks to ONNX files."""

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from avsv.jobs.files import whole_file


def export_onnx(net: nn.Module, shape: Sequence[int], outputs: Sequence[str], axes: dict, path: Path | str) -> None:
    """Export `net` in evaluation mode.

    Parameters
    ----------
    net : takes one tensor, called "input" in the file; stays in evaluation mode afterwards
    shape : shape of an example input
    outputs : names of the outputs, in order
    axes : name of an input or output -> axis -> axis name, for axes of variable length
    path : the file, written atomically
    """
    example = torch.zeros(*shape, device=next(net.parameters()).device)
    with whole_file(path, "wb") as out:
        out.write(to_onnx(net, {"input": example}, outputs, axes))


def to_onnx(net: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], axes: dict) -> bytes:
    """The bytes of an ONNX file of `net`, which is set to evaluation mode.

    Parameters
    ----------
    inputs : name -> example, in the order of the arguments of `net`
    outputs, axes : as for `export_onnx`
    """
    data = io.BytesIO()
    # the old exporter on purpose: the new one needs onnxscript, and InsightFace may misread its node names
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about the old exporter and traced shapes
        torch.onnx.export(net.eval(), tuple(inputs.values()), data, input_names=list(inputs),
                          output_names=list(outputs), dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
    return data.getvalue()
