"""Training curves: means of figures over steps and processes, as a table, a plot and TensorBoard events.

This module writes TensorBoard's event files itself, without the package `tensorboard` and its dependencies. A record
has its length, a checksum of the length, a protobuf message (tensorflow/core/util/event.proto) and its checksum.
"""

import io
import json
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from avsv.jobs.files import NamedFile, refuse_link, whole_file
from avsv.jobs.inputs import regular_file
from avsv.training.distributed import gather

EVENTS = "events.out.tfevents.avsv"
DRAW_EVERY = 60.0  # seconds between plots of the curves


class Figures:
    """Means of figures over many steps. Tensors stay on their device until a mean is read, so no step waits for it."""

    def __init__(self):
        self.recent: dict[str, list[float | Tensor]] = {}  # since the last `take`
        self.sums: dict[str, tuple[float, int]] = {}  # of all steps that were taken
        self.taken: dict[str, float] = {}

    def add(self, figures: Mapping[str, float | Tensor]) -> None:
        for name, value in figures.items():
            self.recent.setdefault(name, []).append(value)

    def recent_sums(self, device: torch.device | str = "cpu") -> dict[str, tuple[float, int]]:
        """Name -> sum and number of values since the last `take`; not every step has every figure."""
        if not self.recent:
            return {}
        columns = [torch.stack([torch.as_tensor(v, device=device) for v in values]) for values in self.recent.values()]
        sums = torch.stack([column.double().sum() for column in columns]).tolist()  # a single wait for the device
        return {name: (total, len(self.recent[name])) for name, total in zip(self.recent, sums, strict=True)}

    def take(self, device: torch.device) -> dict[str, float]:
        """Name -> mean over all processes and the steps since the last call."""
        window: dict[str, tuple[float, int]] = {}
        for sums in gather(self.recent_sums(device)):
            add_sums(window, sums)
        add_sums(self.sums, window)
        self.recent = {}
        self.taken = means_of(window)
        return self.taken

    def means(self) -> dict[str, float]:
        """Name -> mean over all steps up to the last `take`."""
        return means_of(self.sums)

    def __str__(self) -> str:
        """The means over this process's latest steps."""
        means = means_of(self.recent_sums()) or self.taken
        return ", ".join(f"{name} {mean:.4g}" for name, mean in means.items())


def add_sums(total: dict[str, tuple[float, int]], more: dict[str, tuple[float, int]]) -> None:
    for name, (value, count) in more.items():
        old_value, old_count = total.get(name, (0.0, 0))
        total[name] = (old_value + value, old_count + count)


def means_of(sums: dict[str, tuple[float, int]]) -> dict[str, float]:
    return {name: value / count for name, (value, count) in sums.items()}


def write_curves(exp_dir: Path, history: list[dict]) -> None:
    """Write history.jsonl, one record per epoch, and the same figures as curves.tsv."""
    with whole_file(exp_dir / "history.jsonl") as out:
        out.writelines(json.dumps(record) + "\n" for record in history)
    names = list(dict.fromkeys(name for record in history for name in record))
    with whole_file(exp_dir / "curves.tsv") as out:
        out.write("\t".join(names) + "\n")
        for record in history:
            out.write("\t".join(f"{record[name]:.6g}" if name in record else "" for name in names) + "\n")


def draw_curves(exp_dir: Path, history: list[dict]) -> None:
    """Plot each figure over the epochs, in curves.svg."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    names = [
        name for name in dict.fromkeys(n for record in history for n in record) if name not in ("epoch", "seconds")
    ]
    rows = max(1, -(-len(names) // 3))
    figure = Figure(figsize=(10, 2.6 * rows))
    axes = figure.subplots(rows, 3, squeeze=False)
    # margins in inches for any number of rows: matplotlib's own layouts take longer than the rest of the drawing
    figure.subplots_adjust(
        left=0.08, right=0.98, top=1 - 0.3 / 2.6 / rows, bottom=0.5 / 2.6 / rows, wspace=0.25, hspace=0.55
    )
    for axis, name in zip(axes.flat, names, strict=False):
        records = [record for record in history if name in record]
        axis.plot([record["epoch"] for record in records], [record[name] for record in records], marker=".")
        axis.set_title(name.replace("_", " "))
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(names) :]:
        axis.remove()
    with rc_context({"svg.hashsalt": "avsv"}), whole_file(exp_dir / "curves.svg", "wb") as out:
        figure.savefig(out, format="svg", metadata={"Date": None})


class EventFile:
    """A file of curves for TensorBoard: `tensorboard --logdir exp`.

    Parameters
    ----------
    exp_dir : folder of the file
    size : bytes of an existing file to keep: its size at the checkpoint from which training resumes
    """

    def __init__(self, exp_dir: Path, size: int):
        self.path = exp_dir / EVENTS
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = io.BufferedWriter(NamedFile(refuse_link(regular_file(self.path)), "a", self.path))
        if size and size <= os.fstat(self.file.fileno()).st_size:
            self.file.truncate(size)
        else:
            self.file.truncate(0)
            self.write(field(3, b"brain.Event:2"))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of each figure's curve."""
        values = [field(1, field(1, name.encode()) + b"\x15" + struct.pack("<f", v)) for name, v in figures.items()]
        self.write(b"\x10" + varint(step) + field(5, b"".join(values)))

    def add_image(self, step: int, name: str, png: bytes, shape: tuple[int, ...]) -> None:
        """A PNG of (height, width, 3) pixels, as a message Summary.Image."""
        height, width, colours = shape
        sizes = b"".join(varint(number << 3) + varint(size) for number, size in ((1, height), (2, width), (3, colours)))
        value = field(1, name.encode()) + field(4, sizes + field(4, png))
        self.write(b"\x10" + varint(step) + field(5, field(1, value)))

    def write(self, event: bytes) -> None:
        event = b"\x09" + struct.pack("<d", time.time()) + event
        length = struct.pack("<Q", len(event))
        self.file.write(length + checksum(length) + event + checksum(event))

    def save(self) -> int:
        """Flush the file and return its size in bytes."""
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size


def varint(number: int) -> bytes:
    """An integer >= 0 as a protobuf varint: seven bits per byte, lowest first."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a protobuf message: bytes, text or a nested message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = crc_table()


def checksum(content: bytes) -> bytes:
    """The masked CRC-32C of TFRecord files, four bytes.

    Examples
    --------
    >>> checksum(b"123456789").hex()  # of the CRC e3069283
    'e5b08ac7'
    """
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
