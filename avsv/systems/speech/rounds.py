"""Training in rounds, shared by any number of jobs, and killed and continued at any time.

A round adds up sums over the data, in as many parts as there are jobs, and makes the next model of them. Each job takes
parts that nobody else is working on, its own first; a job alone does them all. Whichever job finds all parts of a round
done makes the next model. Parts are added in their order, so the result depends on their number only, not on which job
did which, or when. Everything lies in one folder that all jobs see: `model.K.npz`, the model after K rounds, and
`part.K.J.npz`; each is written whole, and a killed job's lock ends with it.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.importers.numpy_files import read_npz
from avsv.jobs.files import if_free, one_at_a_time, own_folder, whole_file, write_json
from avsv.jobs.schema import read_json
from avsv.jobs.shards import Shard

log = logging.getLogger("avsv")
Arrays = Mapping[str, np.ndarray]
NAP = 0.2  # seconds between looks at the folder while other jobs work on the last parts
KEY = "key.json"


class Rounds:
    """The rounds of one training.

    Parameters
    ----------
    folder : for this class alone
    key : identifies the training: inputs, options and number of jobs; another one's files are removed
    outputs : what `finish` writes
    """

    def __init__(self, folder: Path, key: str, shard: Shard, outputs: Sequence[Path]):
        self.folder, self.key, self.shard, self.outputs = own_folder(folder), key, shard, outputs

    def run(
        self,
        n_rounds: int,
        first: Callable[[], Arrays],
        part: Callable[[int, Arrays, int], Arrays],
        update: Callable[[int, Arrays, Arrays], Arrays],
        finish: Callable[[Arrays], None],
    ) -> None:
        """Run all rounds that are left, with whatever other jobs there are.

        Parameters
        ----------
        first : the model that the first round starts from
        part : round from 0, model, number of the part from 1 -> sums over that part of the data
        update : round, model, the parts' total -> the next model
        finish : writes the outputs from the last model
        """
        with one_at_a_time(self.folder / ".lock"):
            state = self.state()
            if state is None or (state and not all(path.exists() for path in self.outputs)):
                self.remove(lambda name: name != ".lock")
                self.write_state(finished=False)
            if self.state() is False and self.newest() is None:
                self.write("model", 0, first())
        while (state := self.state()) is not True:
            number = self.newest()
            if state is None or number is None:
                raise InputError(f"{self.folder}: a training with other settings, or another number of jobs, has begun "
                                "here meanwhile; give each its own folder")  # fmt: skip
            try:
                model = self.read("model", number)
                if number < n_rounds:
                    self.do_parts(number, model, part)
            except InputError:
                if self.newest() != number:  # another job has gone on, and removed what this one was reading
                    continue
                raise
            with one_at_a_time(self.folder / ".lock"):
                if self.newest() != number:
                    continue
                if number == n_rounds:
                    finish(model)
                    self.write_state(finished=True)
                    self.remove(lambda name: name not in (KEY, ".lock"))
                    continue
                total = {name: array.copy() for name, array in self.read("part", number, 1).items()}
                for other in range(2, self.shard.total + 1):
                    for name, array in self.read("part", number, other).items():
                        total[name] += array
                self.write("model", number + 1, update(number, model, total))
                self.remove(lambda name, old=number: name in (f"model.{old - 1}.npz", f"model.{old}.npz") or
                            name.startswith(f"part.{old}."))  # fmt: skip

    def do_parts(self, number: int, model: Arrays, part: Callable[[int, Arrays, int], Arrays]) -> None:
        """Do parts of a round until none is left, or another job has begun the next round."""
        mine, total = self.shard.number, self.shard.total
        order = [(mine + step - 1) % total + 1 for step in range(total)]
        while True:
            left = [one for one in order if not self.path("part", number, one).exists()]
            if not left or self.newest() != number:
                return
            for one in left:
                with if_free(self.folder / f".lock.{one}") as free:
                    if free and not self.path("part", number, one).exists() and self.newest() == number:
                        self.write("part", number, part(number, model, one), one)
                        break
            else:
                time.sleep(NAP)

    def state(self) -> bool | None:
        """Whether this training is finished; None if the folder is empty or belongs to another one."""
        if not (self.folder / KEY).exists():
            return None
        state = read_json(self.folder / KEY, {"key": str, "finished": bool}, "record of a training in rounds")
        return state["finished"] if state["key"] == self.key else None

    def write_state(self, finished: bool) -> None:
        write_json(self.folder / KEY, {"key": self.key, "finished": finished})

    def newest(self) -> int | None:
        """The number of the latest model; None if there is none."""
        return max((int(path.name.split(".")[1]) for path in self.folder.glob("model.*.npz")), default=None)

    def path(self, kind: str, number: int, part: int | None = None) -> Path:
        return self.folder / (f"{kind}.{number}.npz" if part is None else f"{kind}.{number}.{part}.npz")

    def read(self, kind: str, number: int, part: int | None = None) -> Arrays:
        path = self.path(kind, number, part)
        return read_npz(path, str(path))

    def write(self, kind: str, number: int, arrays: Arrays, part: int | None = None) -> None:
        with whole_file(self.path(kind, number, part), "wb") as out:
            np.savez(out, **arrays)

    def remove(self, wanted: Callable[[str], bool]) -> None:
        for path in list(self.folder.iterdir()):
            if wanted(path.name):
                path.unlink(missing_ok=True)
