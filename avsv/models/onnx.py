"""Export of networks to ONNX files."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

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
    with whole_file(path, "wb") as out, warnings.catch_warnings():
        # the old exporter on purpose: the new one needs onnxscript, and InsightFace may misread its node names
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(net.eval(), (example,), out, input_names=["input"], output_names=list(outputs),
                          dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
