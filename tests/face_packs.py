"""An untrained face pack, and images with white squares that its detector detects as faces."""

import cv2
import numpy as np
import torch
from torch import nn

from avsv.features.faces import TEMPLATE
from avsv.models.face_detector import STRIDES
from avsv.models.face_encoders import save_onnx
from avsv.models.iresnet import IResNet
from avsv.models.onnx import export_onnx

CELL = STRIDES[-1]


class WhiteSquares(nn.Module):
    """A detector with SCRFD's nine outputs: a face of 96 pixels, with key points, around every white cell of 32."""

    def forward(self, image):
        outputs = []
        for size in (1, 4, 10):
            for stride in STRIDES:
                light = nn.functional.avg_pool2d(image, stride).mean(1, keepdim=True)
                values = light.repeat(1, 2 * size, 1, 1).permute(0, 2, 3, 1).reshape(-1, size)
                if size == 1:
                    outputs.append(torch.sigmoid(20 * (values - 0.9)) if stride == CELL else values * 0)
                else:
                    box = [1.0, 1.0, 2.0, 2.0]
                    points = ((TEMPLATE - 56) * 80 / 112 / CELL + 0.5).ravel().tolist()
                    outputs.append(torch.cat([values[:, :1] * 0 + v for v in (box if size == 4 else points)], 1))
        return tuple(outputs)


def write_pack(folder):
    """Write an untrained face pack with a detector that detects white squares as faces."""
    torch.manual_seed(0)
    save_onnx(IResNet((1, 1), (8, 8), 16, stem_stride=4), folder / "recognition.onnx")
    names = [f"{what}{stride}" for what in ("score", "bbox", "kps") for stride in STRIDES]
    module = WhiteSquares()
    module.register_buffer("nothing", torch.zeros(1))
    module.parameters = lambda: iter([module.nothing])
    axes = {"input": {2: "height", 3: "width"}, **{name: {0: f"n_{name}"} for name in names}}
    export_onnx(module, (1, 3, 64, 64), names, axes, folder / "detector.onnx")
    return folder


def draw_clip(folder, seed, n=3, size=140):
    """Write a folder of noisy images, each with a white square as its face."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(n):
        image = rng.integers(0, 90, (size, size, 3), np.uint8)
        image[30:110, 30:110] = 255
        cv2.imwrite(str(folder / f"{i}.png"), image)
    return folder
