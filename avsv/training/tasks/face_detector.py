"""Training a small face detector on clips with known key points, such as a synthetic corpus.

DATA_DIR/landmarks.scp lists the files of key points; avsv/features/landmarks.py describes their format.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from avsv.errors import InputError
from avsv.features.face_pack import load_pack
from avsv.features.faces import detect_face
from avsv.features.landmarks import read_landmarks
from avsv.jobs.fingerprints import digest
from avsv.jobs.progress import progress
from avsv.kaldi.data_dir import read_data_dir
from avsv.media.decoder_process import guarded, guarded_stream
from avsv.media.images import count_frames, each_frame, evenly_spaced
from avsv.models.face_detector import FaceDetector, detector_loss, save_onnx
from avsv.models.ranges import within
from avsv.training.config import TrainingConfig
from avsv.training.image_augmentation import change_colour, fast_layout, move_matrix, plan_batches, to_input, warp
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.trainer import Step, Trainer

log = logging.getLogger("avsv")
MIRRORED = [1, 0, 2, 4, 3]  # order of the key points in a mirrored face: left and right swap


@dataclass
class FaceDetectorConfig(TrainingConfig):
    """`task: face_detector`."""

    frames_per_clip: int = within(4, 1, 10_000)
    side: int = within(160, 32, 4096)  # side of the square training images in pixels, a multiple of 32
    # range of face sizes in pixels
    face_side: tuple[float, float] = within((36.0, 130.0), 1, 4096, rising=True)
    width: int = within(16, 1, 16384)  # channels of the first layer
    rotation: float = within(10.0, 0, 180)  # degrees
    colour: float = within(0.5, 0, 1)


@dataclass(frozen=True)
class Example:
    """A frame and its face."""

    image: np.ndarray  # (h, w, 3) uint8 BGR
    box: np.ndarray  # (4,) x y w h, pixels
    points: np.ndarray  # (5, 2) x y, pixels


def read_examples(video: str, landmarks: str, n: int) -> list[Example]:
    """Read up to `n` evenly spaced frames of a clip; InputError if frames and landmarks do not match."""
    rows = read_landmarks(landmarks)
    n_frames = int(guarded(count_frames, video))
    if n_frames != len(rows):
        raise InputError(f"{landmarks}: has {len(rows)} lines, but {video} has {n_frames} frames")
    images = list(guarded_stream(each_frame, video, n))
    chosen = rows[evenly_spaced(len(rows), n)]
    if len(chosen) != len(images):
        raise InputError(f"{video}: only {len(images)} of {len(chosen)} frames can be decoded")
    return [Example(image, row[:4], row[4:].reshape(5, 2)) for image, row in zip(images, chosen, strict=True)]


class Frames(Dataset):
    """Frames with the face at a random position and size; items are indexed by (frame, seed)."""

    def __init__(self, config: FaceDetectorConfig, examples: list[Example]):
        self.config, self.examples = config, examples

    def __getitem__(self, item: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        index, seed = item
        example, rng, side = self.examples[index], np.random.default_rng(seed), self.config.side
        size = np.exp(rng.uniform(*np.log(self.config.face_side)))
        scale = size / np.sqrt(example.box[2] * example.box[3])
        centre = example.box[:2] + example.box[2:] / 2
        # keep the whole face inside the image, most of the time
        room = np.maximum(side - scale * example.box[2:], 0.2 * side) / 2
        target = side / 2 + room * rng.uniform(-1, 1, 2)
        flip = bool(rng.random() < 0.5)
        matrix = move_matrix(centre, target, scale, rng.normal() * self.config.rotation, flip)
        image = change_colour(warp(example.image, matrix, side, replicate=rng.random() < 0.3), rng, self.config.colour)
        if rng.random() < 0.2:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.02 * size + 0.3))
        points = (example.points[MIRRORED] if flip else example.points) @ matrix[:, :2].T + matrix[:, 2]
        half = scale * example.box[2:] / 2
        box = np.concatenate([target - half, target + half])
        return to_input(image), torch.tensor(box, dtype=torch.float32), torch.tensor(points, dtype=torch.float32)


class FaceDetectorTask(Task):
    """`task: face_detector`: writes detector.onnx."""

    config_class = FaceDetectorConfig
    title = "A face detector with key points."

    def read(self) -> Inputs:
        config = self.config
        data = read_data_dir(config.data_dir)
        landmarks = {utt: path for utt, path in data.table("landmarks.scp").items() if utt in data.video}
        if not landmarks:
            raise InputError(f"{config.data_dir}/landmarks.scp: is absent or empty; training a detector needs the key "
                             "points of every clip")  # fmt: skip
        if config.side % 32:
            raise InputError(f"side={config.side}: expected a multiple of 32")
        self.clips = {utt: (data.video[utt], landmarks[utt]) for utt in sorted(landmarks)}
        keys = {"data": digest([[utt, *clip] for utt, clip in self.clips.items()])}
        return Inputs(keys, [{utt: video for utt, (video, _) in self.clips.items()}, landmarks])

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Random images with a centred face of half the side."""
        side = self.config.side

        def make_batch(n):
            box = torch.tensor([side / 4, side / 4, 3 * side / 4, 3 * side / 4])
            points = side / 4 + side / 2 * torch.rand(n, 5, 2)
            return torch.randint(256, (n, 3, side, side), dtype=torch.uint8), box.expand(n, 4), points

        return RandomData(make_batch, n_clips * self.config.frames_per_clip, f"an image of {side} pixels")

    def make_model(self) -> FaceDetector:
        return FaceDetector(self.config.width)

    def prepare(self, trainer: Trainer) -> None:
        cv2.setNumThreads(1)
        self.examples: list[Example] = []
        for utt, (video, landmarks) in progress(self.clips.items(), "read frames"):
            try:
                self.examples += read_examples(video, landmarks, self.config.frames_per_clip)
            except InputError as error:
                log.warning("%s: left out: %s", utt, error)
        if not self.examples:
            raise InputError(f"{self.config.data_dir}/landmarks.scp: no clip can be used; see the log for the reasons")
        self.dataset = Frames(self.config, self.examples)

    def make_step(self, trainer: Trainer) -> Step:
        """The step on a batch of images (batch, 3, side, side) uint8, boxes (batch, 4) and points (batch, 5, 2)."""
        model = self.model
        layout = fast_layout(model)
        model.to(memory_format=layout)

        def step(batch):
            inputs, boxes, points = (part.to(trainer.device, non_blocking=True) for part in batch)
            inputs = ((inputs.float() - 127.5) / 128).contiguous(memory_format=layout)
            return detector_loss(model(inputs), boxes, points, tuple(inputs.shape[2:])), {}

        return step

    def plan(self, epoch: int) -> list:
        return plan_batches(list(range(len(self.examples))), self.config.batch_size, self.config.seed, epoch)

    def save(self) -> None:
        exp_dir = self.config.exp_dir
        save_onnx(self.model, Path(exp_dir) / "detector.onnx")
        share, error = measure(exp_dir, self.examples[:: max(1, len(self.examples) // 200)])
        log.info("%s: finds %.1f %% of the training faces, key points %.2f pixels off", exp_dir, 100 * share, error)


def measure(pack: str | Path, examples: list[Example]) -> tuple[float, float]:
    """Share of faces that the written pack detects, and mean error of the key points in pixels."""
    detector = load_pack(pack, tasks=("detection",)).detection
    detections = [(detect_face(example.image, detector), example.points) for example in examples]
    errors = [np.linalg.norm(face.points - true, axis=1).mean() for face, true in detections if face is not None]
    return len(errors) / len(examples), float(np.mean(errors)) if errors else float("nan")
