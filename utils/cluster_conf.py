"""conf/slurm.conf and conf/sge.conf in Kaldi's grammar: rules that translate options to those of sbatch and qsub."""

import re
import shlex
from pathlib import Path

from job_frame import Refused
from jobs import Jobs, UsageError

ROOT = Path(__file__).resolve().parent.parent
OURS = ("config", "retry")  # options that are not the cluster's


class Conf:
    """A parsed file: the submit command, and its arguments for each option and value."""

    def __init__(self, path: Path):
        self.path = path
        self.command: list[str] = []
        self.defaults: dict[str, str] = {}
        self.rules: dict[tuple[str, str], list[str]] = {}  # (option, value or "*") -> words
        if path.exists() and not path.is_file():
            raise Refused(f"{path}: is not a file")
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{path}: cannot be read: {error}") from None
        for number, line in enumerate(lines, 1):
            self.read_line(number, re.sub(r"(^|\s)#.*", "", line).strip())
        if not self.command:
            raise Refused(f'{path}: expected a line "command ..." with the command that submits a job')

    def read_line(self, number: int, line: str) -> None:
        kind, _, rest = line.partition(" ")
        match = re.match(r"([\w-]+)=(\S+)\s*(.*)$", rest.strip())
        try:
            if kind == "command" and rest:
                self.command = shlex.split(rest)
            elif kind == "default" and match and not match[3]:
                self.defaults[match[1].replace("_", "-")] = match[2]
            elif kind == "option" and match:
                self.rules.setdefault((match[1].replace("_", "-"), match[2]), shlex.split(match[3]))
            elif line:
                raise ValueError
        except ValueError:
            raise Refused(f'{self.path}, line {number}: expected "command ...", "option NAME=VALUE ..." or '
                          f'"default NAME=VALUE", found: {line}') from None  # fmt: skip

    def words(self, options: dict[str, str]) -> list[str]:
        """The command that submits a job with these options, up to its script.

        Raises
        ------
        UsageError : an option, or its value, is not described
        """
        words = list(self.command)
        for name, value in {**self.defaults, **options}.items():
            rule = self.rules.get((name, value), self.rules.get((name, "*")))
            if rule is None:
                raise UsageError(f"option --{name} {value} is not described in {self.path}; add a line "
                                 f'"option {name.replace("-", "_")}=* ...", or leave it out')  # fmt: skip
            words += [word.replace("$0", value) for word in rule]
        return words


def find_conf(jobs: Jobs, name: str) -> Conf:
    """The file of --config, or conf/NAME of the current folder, or the repository's."""
    if "config" in jobs.options:
        return Conf(Path(jobs.options["config"]))
    own = Path("conf") / name
    return Conf(own if own.exists() else ROOT / "conf" / name)


def submit_words(jobs: Jobs, name: str, handled: tuple[str, ...] = ()) -> list[str]:
    """The words of the submitting command for the options of `jobs`; options in `handled` are skipped."""
    for option in ("num-threads", "max-jobs-run", "nodes"):
        jobs.count(option)
    for option in ("gpu", "retry"):
        jobs.count(option, 0)
    conf = find_conf(jobs, name)
    options = {name: value for name, value in jobs.options.items() if name not in (*OURS, *handled)}
    return conf.words(options) + list(jobs.native)
