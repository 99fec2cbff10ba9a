"""An operating point: the threshold for decisions, what it was chosen for, and the errors to expect from it.

It belongs to one calibration, and through it to the models behind its scores: log-likelihood ratios of another one
differ, so a threshold moved to it would reject owners or let in strangers. `avsv operating-point` writes the file;
`avsv verify` and `avsv identify` read it.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from avsv.errors import InputError, OptionError
from avsv.evaluation.dcf import bayes_threshold
from avsv.jobs.files import write_json
from avsv.jobs.fingerprints import digest
from avsv.jobs.inputs import read_text
from avsv.jobs.schema import check_shape, parse_json
from avsv.kaldi.origin import describe
from avsv.scoring.calibration import ScoreFusion
from avsv.scoring.quality_fusion import QualityFusion

KIND, VERSION = "avsv operating point", 1
RATE = {"value": float, "low": float, "high": float, "errors": int, "trials": int}
SHAPE = {
    "kind": str,
    "version": int,
    "threshold": float,
    "goal": {"p_target": (float, None), "c_miss": float, "c_fa": float, "false_acceptance": (float, None)},
    "calibration": str,
    "trained_on": [(str, None)],
    "people": int,
    "supported": bool,
    "lowest_supported": float,
    "lowest_shown": float,
    "false_acceptance": RATE,
    "false_rejection": RATE,
    "cost": ({"value": float, "low": float, "high": float}, None),
    "warnings": [str],
}


@dataclass(frozen=True)
class Goal:
    """What a threshold is chosen for: a target prior with costs, or a highest rate of false acceptance.

    p_target : prior probability that two recordings show the same person; None if a rate is the goal
    c_miss, c_fa : costs of rejecting the same person, and of accepting another
    false_acceptance : highest rate, 0 to 1; None if a prior is the goal

    Raises
    ------
    OptionError : both goals or neither, or a number out of its range

    Examples
    --------
    >>> Goal(p_target=0.01, c_fa=10).bayes_threshold  # ln(10 * 0.99 / 0.01)
    6.897704943128636
    >>> print(Goal(false_acceptance=0.001))
    a false acceptance rate of at most 0.1 %
    """

    p_target: float | None = None
    c_miss: float = 1.0
    c_fa: float = 1.0
    false_acceptance: float | None = None

    def __post_init__(self) -> None:
        if (self.p_target is None) == (self.false_acceptance is None):
            raise OptionError("expected a target prior or a highest rate of false acceptance, and not both")
        chosen = self.p_target if self.false_acceptance is None else self.false_acceptance
        if not 0 < chosen < 1:
            raise OptionError(f"expected a prior or rate between 0 and 1, found {chosen}")
        if not (0 < self.c_miss < math.inf and 0 < self.c_fa < math.inf):
            raise OptionError(f"expected costs above 0, found {self.c_miss} and {self.c_fa}")

    @property
    def bayes_threshold(self) -> float:
        """Threshold that calibration alone gives.

        For a prior, accepting and rejecting cost the same there. For a rate it is -ln(rate): the expected likelihood
        ratio of nontargets is 1, so by Markov's inequality at most that rate of them exceeds it.
        """
        if self.false_acceptance is not None:
            return -math.log(self.false_acceptance)
        return float(bayes_threshold(self.p_target, self.c_miss, self.c_fa))

    def __str__(self) -> str:
        if self.false_acceptance is not None:
            return f"a false acceptance rate of at most {100 * self.false_acceptance:g} %"
        if self.c_miss == self.c_fa:
            return f"target prior {self.p_target:g}"
        return f"target prior {self.p_target:g}, a false acceptance {self.c_fa / self.c_miss:g} times as costly"


@dataclass(frozen=True)
class Rate:
    """An error rate, 0 to 1, with its 95 % confidence limits for other people.

    value, low, high : share of the trials that are errors, and its limits
    errors, trials : their numbers
    """

    value: float
    low: float
    high: float
    errors: int
    trials: int

    def __str__(self) -> str:
        """Such as "0.52 % (2 of 388; 95 % interval 0.06 to 2.41 %)"."""
        return (f"{percent(self.value)} % ({self.errors:,} of {self.trials:,}; 95 % interval {percent(self.low)} to "
                f"{percent(self.high)} %)")  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Expected cost of a decision, c_miss P FRR + c_fa (1 - P) FAR, with its 95 % confidence limits."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on log-likelihood ratios, with the errors to expect.

    threshold : natural-log likelihood ratio; two recordings show the same person if theirs is above it
    goal : what it was chosen for
    calibration : hash of the calibration, from `calibration_digest`
    trained_on : model and back-end of each score of the calibration, see kaldi/origin.py
    people : number of people in the recordings that it was measured on
    supported : whether the threshold rests on these recordings, and not on the calibration alone
    lowest_supported : lowest rate of false acceptance that a threshold from these recordings can keep on average
    lowest_shown : upper confidence limit of the rate if none of these nontarget trials were accepted
    false_acceptance, false_rejection : rates at the threshold
    cost : expected cost of a decision; None if the goal is a rate
    warnings : what a user has to know before relying on it
    """

    threshold: float
    goal: Goal
    calibration: str
    trained_on: list[str | None]
    people: int
    supported: bool
    lowest_supported: float
    lowest_shown: float
    false_acceptance: Rate
    false_rejection: Rate
    cost: Cost | None
    warnings: list[str]

    def refuse_other_calibration(self, calibration: ScoreFusion | QualityFusion, source: Path | str) -> None:
        """Raise InputError unless the threshold was chosen on the log-likelihood ratios of this calibration.

        Parameters
        ----------
        source : of the operating point, for the message
        """
        if self.calibration == calibration_digest(calibration):
            return
        if self.trained_on != calibration.trained_on:
            raise InputError(f"{source}: an operating point of {describe(self.trained_on)}, but the calibration is of "
                            f"{describe(calibration.trained_on)}; choose one with avsv operating-point on scores of "
                            "these models")  # fmt: skip
        raise InputError(f"{source}: an operating point of another calibration of the same models; choose one with "
                        "avsv operating-point on scores of this calibration, or use the calibration that it was "
                        "chosen for")  # fmt: skip


def calibration_digest(calibration: ScoreFusion | QualityFusion) -> str:
    """Short hash of how a calibration makes log-likelihood ratios, and of what scores.

    The names of score files and training lists do not matter: the same training with scores of another set gives the
    same hash.

    Examples
    --------
    >>> from avsv.scoring.calibration import Map
    >>> one, same, other = (calibration_digest(ScoreFusion([name], 0.5, [], [Map([True], [weight], 0.0)]))
    ...                     for name, weight in (("a", 2.0), ("b", 2.0), ("a", 3.0)))
    >>> one == same, one == other
    (True, False)
    """
    content = asdict(calibration)
    if isinstance(calibration, QualityFusion):
        del content["lists"]
        content["systems"] = [{key: value for key, value in system.items() if key != "name"}
                              for system in content["systems"]]  # fmt: skip
    else:
        del content["systems"]
    return digest(content)


def write_operating_point(path: Path | str, point: OperatingPoint) -> None:
    """Write an operating point as JSON; see SHAPE for the keys."""
    write_json(path, {"kind": KIND, "version": VERSION, **asdict(point)})


def read_operating_point(path: Path | str) -> OperatingPoint:
    """Read a file of `avsv operating-point`; `refuse_other_calibration` then checks that it belongs to the scores.

    Raises
    ------
    InputError : no such file, another kind of file, one of a newer avsv, or numbers that contradict each other

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "point.json"
    >>> none = Rate(0.0, 0.0, 0.02, 0, 500)
    >>> write_operating_point(path, OperatingPoint(4.6, Goal(0.01), "c", ["voice:1 cosine"], 40, True, 0.004, 0.02,
    ...                                            none, none, Cost(0.0, 0.0, 0.02), []))
    >>> read_operating_point(path).threshold
    4.6
    """
    record = read_record(path)
    goal, rates = record["goal"], {name: Rate(**record[name]) for name in ("false_acceptance", "false_rejection")}
    for name, rate in rates.items():
        if not 0 <= rate.low <= rate.value <= rate.high <= 1 or not 0 <= rate.errors <= rate.trials:
            raise InputError(f"{path}: {name}: expected 0 <= low <= value <= high <= 1, and errors among the trials")
    try:
        goal = Goal(**goal)
    except OptionError as error:
        raise InputError(f"{path}: goal: {error}") from None
    cost = None if record["cost"] is None else Cost(**record["cost"])
    rest = {name: value for name, value in record.items() if name not in ("kind", "version", "goal", "cost", *rates)}
    return OperatingPoint(goal=goal, cost=cost, **rates, **rest)


def read_record(path: Path | str) -> dict[str, Any]:
    """The JSON object of an operating point, of this version; InputError for anything else."""
    try:
        record = parse_json(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not an operating point: {error}") from None
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise InputError(f"{path}: is not an operating point; expected a file that avsv operating-point wrote")
    version = record.get("version")
    if type(version) is int and version > VERSION:
        raise InputError(f"{path}: is an operating point of version {version}, written by a newer avsv; this one reads "
                        f"version {VERSION}. Update avsv, or choose the operating point again")  # fmt: skip
    try:
        check_shape(record, SHAPE)
    except ValueError as error:
        raise InputError(f"{path}: is not an operating point: {error}") from None
    return record


def percent(rate: float) -> str:
    """A rate in percent with two significant digits or two decimals, whichever is more.

    Examples
    --------
    >>> percent(0.1234), percent(0.00123), percent(0.0)
    ('12.34', '0.12', '0')
    """
    if not rate:
        return "0"
    return f"{100 * rate:.2f}" if rate >= 0.0005 else f"{100 * rate:.2g}"
