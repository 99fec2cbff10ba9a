"""Shared by the benchmarks: time two implementations alternately on the same machine."""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

REAL = Path(os.environ.get("AVSV_REAL_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def parse(doc: str) -> argparse.Namespace:
    """Parse --clips, --repeats and --dir of a benchmark."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path("/tmp/avsv-benchmark"))
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    return args


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds and processor seconds (of this process and its finished children) of one call."""
    before, begin = os.times(), time.perf_counter()
    work()
    after, wall = os.times(), time.perf_counter() - begin
    return wall, sum(after[:4]) - sum(before[:4])


def beside(name: str, ours: Callable, theirs: Callable, n: int, target: float, repeats: int) -> bool:
    """Run both alternately and print medians; returns whether ours is at least `target` times as fast.

    A busy machine slows both equally only if they use the cores equally. The ratio of processor seconds and the load
    are therefore printed beside the ratio of wall seconds.
    """
    tries = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    wall = [statistics.median(one[side][0] for one in tries) for side in (0, 1)]
    cpu = [statistics.median(one[side][1] for one in tries) for side in (0, 1)]
    ratio = statistics.median(one[1][0] / one[0][0] for one in tries)
    print(f"{name:44}{1e3 * wall[0] / n:9.1f}{1e3 * wall[1] / n:9.1f}{1e3 * cpu[0] / n:9.1f}{1e3 * cpu[1] / n:9.1f}"
          f"{ratio:8.2f}{cpu[1] / cpu[0]:8.2f}{target:8.2f}{'' if ratio >= target else '   MISSED'}"
          f"   load {os.getloadavg()[0]:.0f}", flush=True)  # fmt: skip
    return ratio >= target


def title(unit: str = "ms per clip") -> None:
    """Print the heading of the table."""
    print(f"{unit:44}{'ours':>9}{'peer':>9}{'cpu ours':>9}{'cpu peer':>9}{'ratio':>8}{'of cpu':>8}{'target':>8}")
