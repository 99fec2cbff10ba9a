"""A small face detector with SCRFD's outputs (Guo et al., ICLR 2022), which InsightFace runs like its own detectors.

Anchor points lie on grids of 8, 16 and 32 pixels, with a small and a large anchor each. An anchor has a score, the
distances to the four sides of the face, and five key points, in units of the stride. Backbone and sizes are our choice.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.models.onnx import export_onnx

STRIDES = (8, 16, 32)
N_ANCHORS = 2
ANCHOR_SIDES = ((16.0, 32.0), (64.0, 128.0), (256.0, 512.0))  # pixels, as in SCRFD; a face uses anchors near its size


def conv_block(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU())


class FaceDetector(nn.Module):
    """Images -> scores, boxes and key points at every anchor.

    Parameters
    ----------
    width : channels of the first layer; deeper layers have up to 4 times as many

    Examples
    --------
    >>> scores, boxes, points = FaceDetector(width=8)(torch.zeros(2, 3, 64, 64))
    >>> scores.shape, boxes.shape, points.shape          # 8 * 8 * 2 + 4 * 4 * 2 + 2 * 2 * 2 anchors
    (torch.Size([2, 168]), torch.Size([2, 168, 4]), torch.Size([2, 168, 5, 2]))
    """

    def __init__(self, width: int = 16):
        super().__init__()
        w1, w2, w4 = width, 2 * width, 4 * width
        self.to_8 = nn.Sequential(
            conv_block(3, w1, 2), conv_block(w1, w2, 2), conv_block(w2, w2, 2), conv_block(w2, w2)
        )
        self.to_16 = nn.Sequential(conv_block(w2, w4, 2), conv_block(w4, w4))
        self.to_32 = nn.Sequential(conv_block(w4, w4, 2), conv_block(w4, w4))
        self.lateral = nn.ModuleList([nn.Conv2d(n, w4, 1) for n in (w2, w4, w4)])
        self.smooth = nn.ModuleList([conv_block(w4, w4) for _ in STRIDES])
        self.score = nn.ModuleList([nn.Conv2d(w4, N_ANCHORS, 1) for _ in STRIDES])
        self.box = nn.ModuleList([nn.Conv2d(w4, N_ANCHORS * 4, 1) for _ in STRIDES])
        self.point = nn.ModuleList([nn.Conv2d(w4, N_ANCHORS * 10, 1) for _ in STRIDES])
        for layer in self.score:
            nn.init.constant_(layer.bias, -4.0)  # nearly every anchor has no face (Lin et al., focal loss)

    def levels(self, images: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Raw maps (batch, 2, h, w), (batch, 8, h, w), (batch, 20, h, w) of each stride; sides are multiples of 32."""
        m8 = self.to_8(images)
        m16 = self.to_16(m8)
        m32 = self.to_32(m16)
        top = self.lateral[2](m32)
        middle = self.lateral[1](m16) + F.interpolate(top, scale_factor=2.0, mode="nearest")
        bottom = self.lateral[0](m8) + F.interpolate(middle, scale_factor=2.0, mode="nearest")
        maps = [smooth(m) for smooth, m in zip(self.smooth, (bottom, middle, top), strict=True)]
        return [(s(m), b(m), p(m)) for s, b, p, m in zip(self.score, self.box, self.point, maps, strict=True)]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, 3, h, w), RGB, (x - 127.5) / 128, h and w multiples of 32 -> values in units of the anchor's stride.

        Returns
        -------
        (batch, n) logits of a face ; (batch, n, 4) distances left, top, right, bottom ; (batch, n, 5, 2) offsets x y
        """
        scores, boxes, points = zip(*(map(flatten, level, (1, 4, 10)) for level in self.levels(images)), strict=True)
        return torch.cat(scores, 1).squeeze(2), torch.cat(boxes, 1), torch.cat(points, 1).unflatten(2, (5, 2))


def flatten(values: Tensor, size: int) -> Tensor:
    """(batch, anchors * size, h, w) -> (batch, h * w * anchors, size), the order of InsightFace's anchors."""
    return values.permute(0, 2, 3, 1).reshape(values.shape[0], -1, size)


def anchors(height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """All anchors of an image: centres (n, 2) x y in pixels, strides (n,) and sides (n,) in pixels.

    Examples
    --------
    >>> centres, strides, sides = anchors(32, 32)
    >>> centres[[0, 1, 2, -1]].tolist(), sides[[0, 1, -1]].tolist()
    ([[0.0, 0.0], [0.0, 0.0], [8.0, 0.0], [0.0, 0.0]], [16.0, 32.0, 512.0])
    """
    centres, strides, sides = [], [], []
    for stride, pair in zip(STRIDES, ANCHOR_SIDES, strict=True):
        y, x = torch.meshgrid(torch.arange(0, height, stride), torch.arange(0, width, stride), indexing="ij")
        grid = torch.stack([x, y], 2).reshape(-1, 1, 2).expand(-1, N_ANCHORS, 2).reshape(-1, 2).float()
        centres.append(grid)
        strides.append(torch.full((len(grid),), float(stride)))
        sides.append(torch.tensor(pair).repeat(len(grid) // N_ANCHORS))
    return torch.cat(centres), torch.cat(strides), torch.cat(sides)


def detector_loss(
    outputs: tuple[Tensor, Tensor, Tensor], boxes: Tensor, points: Tensor, size: tuple[int, int]
) -> Tensor:
    """Focal loss of the scores, and smooth L1 of the boxes and key points at the anchors of the face.

    A face's anchors are those within half a stride plus a tenth of the face's side of its centre, and of a size
    within a factor of 2 of its own (our choice instead of SCRFD's sampling, as each image shows one face).

    Parameters
    ----------
    outputs : of `FaceDetector`
    boxes : (batch, 4) left, top, right, bottom in pixels
    points : (batch, 5, 2) x y in pixels
    size : (height, width) of the images

    Returns
    -------
    () : weighted sum of the three losses, each a mean over the anchors of faces
    """
    logits, box_out, point_out = outputs
    centres, strides, sides = (part.to(logits.device) for part in anchors(*size))
    face_centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    face_side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
    near = (centres - face_centre[:, None]).abs().amax(2) <= 0.5 * strides + 0.1 * face_side[:, None]
    fitting = (sides / face_side[:, None]).log2().abs() <= 1
    positive = near & fitting
    n_positive = positive.sum().clamp(min=1)
    probability = logits.sigmoid()
    correct = torch.where(positive, probability, 1 - probability)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, positive.float(), reduction="none")
    focal = ((1 - correct) ** 2 * cross_entropy).sum() / n_positive
    which = positive.nonzero()[:, 0]
    # errors in units of the face's side: a pixel matters more in a small face
    unit = (strides.expand_as(logits)[positive] / face_side[which])[:, None]
    at = centres.expand(len(boxes), -1, 2)[positive]
    stride = strides.expand_as(logits)[positive][:, None]
    box_target = torch.cat([at - boxes[which, :2], boxes[which, 2:] - at], 1) / stride
    point_target = (points[which] - at[:, None]) / stride[:, :, None]
    box_loss = l1(box_out[positive] * unit, box_target * unit)
    point_loss = l1(point_out[positive] * unit[:, :, None], point_target * unit[:, :, None])
    return 0.5 * focal + 5 * box_loss + 60 * point_loss


def l1(predicted: Tensor, true: Tensor) -> Tensor:
    """Mean smooth L1 distance; 0 for empty tensors (no anchor has the size of the face)."""
    return F.smooth_l1_loss(predicted, true, beta=0.02, reduction="sum") / max(1, true.numel())


class ScrfdOutputs(nn.Module):
    """The detector with the nine outputs InsightFace reads: scores of each stride, then boxes, then key points.

    Each is (anchors, 1), (anchors, 4) or (anchors, 10), without a batch dimension, as in SCRFD's published files.
    """

    def __init__(self, net: FaceDetector):
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        levels = self.net.levels(images)
        scores = [s.permute(0, 2, 3, 1).reshape(-1, 1).sigmoid() for s, _, _ in levels]
        boxes = [b.permute(0, 2, 3, 1).reshape(-1, 4) for _, b, _ in levels]
        points = [p.permute(0, 2, 3, 1).reshape(-1, 10) for _, _, p in levels]
        return (*scores, *boxes, *points)


def save_onnx(net: FaceDetector, path: Path | str) -> None:
    """Export to a file that InsightFace's model zoo loads as SCRFD; image sides must be multiples of 32."""
    names = [f"{what}_{stride}" for what in ("score", "bbox", "kps") for stride in STRIDES]
    axes = {"input": {2: "height", 3: "width"}, **{name: {0: f"n_{name}"} for name in names}}
    export_onnx(ScrfdOutputs(net), (1, 3, 64, 64), names, axes, path)
