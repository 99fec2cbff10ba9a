"""Settings of the trainings, in YAML: their defaults, their ranges, and what a paper-sized one has."""

from dataclasses import dataclass

from avsv.models.ranges import within


@dataclass
class UbmSettings:
    """Settings of the universal background model; the defaults are those of Kaldi's egs/voxceleb/v1."""

    components: int = within(2048, 1, 1 << 16)  # Gaussians
    seed: int = within(0, 0, 2**31)
    every: int = within(5, 1, 1000)  # only every so many frames of speech of a recording
    sample: int = within(500_000, 1)  # frames in memory for the initial model
    initial_passes: int = within(20, 2, 1000)  # over them: k-means in the first half, then EM
    diagonal_passes: int = within(4, 0, 1000)  # EM steps of the diagonal model on all data
    full_passes: int = within(4, 0, 1000)  # EM steps of the full-covariance model on all data
    select: int = within(20, 1)  # Gaussians evaluated for each frame of the full model
    diagonal_floor: float = within(0.001, above=0)  # smallest variance
    full_floor: float = within(0.001, above=0)  # smallest eigenvalue of a covariance
    least_count: float = within(10.0, 0)  # frames that a Gaussian needs to be updated in the diagonal model
    full_least_count: float = within(100.0, 0)  # and in the full model
    least_weight: float = within(1e-4, 0, 1)

    def check(self) -> None:
        if self.least_weight * self.components > 1:
            raise ValueError(f"least_weight={self.least_weight}, components={self.components}: more than 1 in total")


@dataclass
class ExtractorSettings:
    """Settings of the i-vector extractor; the defaults are those of Kaldi's egs/voxceleb/v1."""

    size: int = within(400, 2, 1 << 14)  # values of an i-vector
    seed: int = within(0, 0, 2**31)
    passes: int = within(5, 1, 1000)  # EM steps
    longest: int = within(100_000, 0)  # train on this many recordings with the most speech; 0: on all
    select: int = within(20, 1)  # Gaussians evaluated for each frame
    least_posterior: float = within(0.025, 0, 1)  # smaller posteriors of Gaussians become 0
    least_count: float = within(100.0, 0)  # frames that a Gaussian needs to be updated
    floor: float = within(0.1, above=0, high=1)  # covariances are floored to this share of their average
    offset: float = within(100.0, above=0)  # initial mean of the i-vectors on the first axis

    def check(self) -> None:
        """Nothing beyond the range of each value."""
