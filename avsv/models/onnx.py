"""Writing networks as ONNX files."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from avsv.jobs.files import whole_file


def export_onnx(net: nn.Module, shape: Sequence[int], outputs: Sequence[str], axes: dict, path: Path | str) -> None:
    """Write `net` as it computes in evaluation.

    Parameters
    ----------
    net : takes one tensor, called "input" in the file; left in evaluation mode
    shape : of an example of it
    outputs : names, in order
    axes : name -> axis -> the axis' name, for those whose length may change
    path : the file, written whole
    """
    example = torch.zeros(*shape, device=next(net.parameters()).device)
    with whole_file(path, "wb") as out, warnings.catch_warnings():
        # the old exporter is meant: the new one needs onnxscript, and names nodes so that InsightFace may misread them
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(net.eval(), (example,), out, input_names=["input"], output_names=list(outputs),
                          dynamic_axes=axes, opset_version=17, dynamo=False)  # fmt: skip
