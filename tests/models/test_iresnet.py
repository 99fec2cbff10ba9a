"""IR-ResNet: the published sizes, and an ONNX file that InsightFace recognises."""

import numpy as np
import pytest
import torch

from avsv.features.face_pack import load_onnx
from avsv.models.face_encoders import save_onnx
from avsv.models.iresnet import BLOCKS, IResNet, iresnet


# millions of parameters of InsightFace's iresnet18, 34, 50, 100 (arcface_torch), embedding 512
@pytest.mark.parametrize("depth, millions", [(18, 24.03), (34, 34.14), (50, 43.59), (100, 65.16)])
def test_published_sizes(depth, millions):
    with torch.device("meta"):  # shapes without memory
        net = IResNet(BLOCKS[depth])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def test_a_network_is_selected_by_its_depth():
    with torch.device("meta"):
        assert len(iresnet(34, embedding_size=8).stages) == 16


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = IResNet((1, 1, 1, 1), (8, 8, 8, 16), embedding_size=12, stem_stride=2)
    net(torch.randn(8, 3, 112, 112))  # to fill batch norm's statistics
    return net.eval()


def test_insightface_and_torch_compute_the_same(net, tmp_path):
    save_onnx(net, tmp_path / "recognition.onnx")
    theirs = load_onnx(tmp_path / "recognition.onnx", ["CPUExecutionProvider"])
    assert theirs.taskname == "recognition" and theirs.input_size == (112, 112)
    assert (theirs.input_mean, theirs.input_std) == (127.5, 127.5)
    faces = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    rgb = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1])).permute(0, 3, 1, 2)
    with torch.no_grad():
        ours = net((rgb.float() - 127.5) / 127.5).numpy()
    assert np.abs(theirs.get_feat(list(faces)) - ours).max() < 1e-4
    assert np.abs(theirs.get_feat(faces[0]) - ours[0]).max() < 1e-4


def test_every_stem_stride_fits_the_fully_connected_layer():
    for stem_stride in (1, 2, 4):
        assert IResNet((1, 1), (8, 8), 4, stem_stride).eval()(torch.zeros(1, 3, 112, 112)).shape == (1, 4)
