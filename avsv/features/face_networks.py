"""Face networks in ONNX Runtime and OpenCV: YuNet detectors, and networks whose input is described (face_inputs.py).

They have the methods of InsightFace's objects that avsv uses, and stand in for them in a face pack.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import local
from typing import Any

import cv2
import numpy as np

from avsv.errors import InputError
from avsv.features.face_inputs import FaceInput
from avsv.features.faces import SIDE

STRIDES = (8, 16, 32)
YUNET_OUTPUTS = frozenset(f"{what}_{stride}" for what in ("cls", "obj", "bbox", "kps") for stride in STRIDES)
YUNET_2022 = frozenset({"loc", "conf", "iou"})
NMS = 0.3  # OpenCV's default: of two boxes that overlap more than this, the one with the lower score is dropped
MOST_BOXES = 5000  # OpenCV's default


class YuNet:
    """OpenCV's face detector (Wu et al., Machine Intelligence Research 20, 2023), with the methods of InsightFace's.

    Its five points have SCRFD's order: eyes, nose and corners of the mouth, the image's left side first, which OpenCV
    calls the person's right. OpenCV runs it on the CPU. Each thread has a detector of its own, because one keeps the
    size of its last image.

    Parameters
    ----------
    path : ONNX file, face_detection_yunet_2023mar.onnx or later
    """

    taskname = "detection"
    use_kps = True

    def __init__(self, path: Path):
        self.model_file = str(path)
        self.of_thread = local()

    def detector(self) -> Any:
        """This thread's cv2.FaceDetectorYN."""
        if not hasattr(self.of_thread, "detector"):
            level = cv2.utils.logging.setLogLevel(
                cv2.utils.logging.LOG_LEVEL_ERROR
            )  # OpenCV 5 warns of its own defaults
            try:
                create = cv2.FaceDetectorYN.create
                self.of_thread.detector = create(self.model_file, "", (SIDE, SIDE), 0.5, NMS, MOST_BOXES)
            finally:
                cv2.utils.logging.setLogLevel(level)
        return self.of_thread.detector

    def detect(
        self, image: np.ndarray, input_size: tuple[int, int], det_thresh: float = 0.5
    ) -> tuple[np.ndarray, np.ndarray]:
        """Detect all faces of an image, scaled to fit into `input_size`.

        Parameters
        ----------
        image : (h, w, 3) uint8 BGR
        input_size : width and height, pixels
        det_thresh : least score, 0 to 1

        Returns
        -------
        (n, 5) float32: left, top, right, bottom in pixels, score ; (n, 5, 2) float32: key points, x y in pixels
        """
        height, width = image.shape[:2]
        scale = min(input_size[0] / width, input_size[1] / height)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        detector = self.detector()
        detector.setInputSize(size)
        detector.setScoreThreshold(det_thresh)
        found = detector.detect(cv2.resize(image, size))[1]
        if found is None:
            return np.zeros((0, 5), np.float32), np.zeros((0, 5, 2), np.float32)
        to_image = np.float32([width / size[0], height / size[1]])
        if not np.isfinite(found).all():
            raise InputError(f"{self.model_file}: the output has values that are not finite; the file is damaged")
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], 1).reshape(-1, 2, 2) * to_image
        points = found[:, 4:14].reshape(-1, 5, 2) * to_image
        return np.concatenate([corners.reshape(-1, 4), found[:, 14:]], 1), points


class DescribedNetwork:
    """A network from aligned faces to embeddings or to quality, whose input is known.

    Parameters
    ----------
    path : the ONNX file
    session : onnxruntime.InferenceSession of it
    given : its input

    Raises
    ------
    InputError : another input than one image of 112 x 112 pixels, or several outputs of which none is named
    """

    def __init__(self, path: Path, session: Any, given: FaceInput):
        self.model_file, self.session, self.given = str(path), session, given
        self.taskname = given.task
        inputs, outputs = session.get_inputs(), [output.name for output in session.get_outputs()]
        self.input_name, self.input_shape = inputs[0].name, inputs[0].shape
        expected = (3, SIDE, SIDE)
        if (
            len(inputs) != 1
            or len(self.input_shape) != 4
            or any(
                isinstance(size, int) and size != side
                for size, side in zip(self.input_shape[1:], expected, strict=True)
            )
        ):
            found = ", ".join(str(one.shape) for one in inputs)
            raise InputError(f"{path}: expected one input of batch x 3 x {SIDE} x {SIDE}, the size of aligned faces, "
                            f"found {found}")  # fmt: skip
        if inputs[0].type != "tensor(float)":
            raise InputError(f"{path}: expected an input of 32-bit floats, found {inputs[0].type}; export the network "
                            "without the conversion of its input")  # fmt: skip
        if given.output is None and len(outputs) > 1:
            raise InputError(f"{path}: has the outputs {', '.join(outputs)}; name the one with the embedding or the "
                            f"quality in {path.with_suffix('.yaml').name}, such as output: {outputs[0]}")  # fmt: skip
        if given.output is not None and given.output not in outputs:
            raise InputError(f"{path}: has no output {given.output}, only {', '.join(outputs)}")
        self.output = given.output or outputs[0]

    def to_input(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The network's input, (n, 3, 112, 112) float32, from faces (112, 112, 3) uint8 BGR."""
        pixels = np.stack(images)[..., ::-1] if self.given.channels == "rgb" else np.stack(images)
        scaled = (pixels - np.float32(self.given.mean)) / np.float32(self.given.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))

    def get_feat(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Embeddings, (n, d) float32, or quality, (n, 1), of faces (112, 112, 3) uint8 BGR."""
        values = self.session.run([self.output], {self.input_name: self.to_input(images)})[0]
        return values.reshape(len(images), -1) if values[:1].size == max(values.shape[1:], default=1) else values


def is_yunet(path: Path, outputs: Sequence[str]) -> bool:
    """Whether a network with these outputs is a YuNet that OpenCV runs; InputError if it is too old for OpenCV."""
    if set(outputs) == YUNET_2022:
        raise InputError(f"{path}: is a YuNet of 2022 or before, which OpenCV no longer runs; take "
                        "face_detection_yunet_2023mar.onnx or later")  # fmt: skip
    return set(outputs) == YUNET_OUTPUTS
