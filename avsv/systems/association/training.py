"""Training face-voice association on pre-extracted embeddings, with any family of networks."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from avsv.errors import InputError
from avsv.evaluation.errors import eer
from avsv.jobs.fingerprints import digest
from avsv.kaldi.data_dir import DataDir, read_data_dir
from avsv.kaldi.embeddings import read_embeddings
from avsv.models.checkpoint import save
from avsv.models.ranges import options_of, within
from avsv.systems.association.networks.family import COVARIATES, AssociationOptions, Family, Pairs
from avsv.systems.association.networks.registry import ASSOCIATION, make_family
from avsv.systems.association.networks.svhf import OddOneOut
from avsv.training.batches import plan_by_person
from avsv.training.config import TrainingConfig
from avsv.training.experiment import digest_arrays
from avsv.training.task import Inputs, RandomData, Task
from avsv.training.tasks.avn_e import validation_digests
from avsv.training.trainer import Step, Trainer, Validate
from avsv.training.validation import refuse_trained

log = logging.getLogger("avsv")
TABLES = {"gender": "spk2gender", "nationality": "spk2nationality", "age": "spk2age"}


@dataclass
class PairingConfig(AssociationOptions, TrainingConfig):
    """Options shared by trainings on embeddings and on media."""

    clips_per_person: int = within(1, 0, 10_000)  # in a batch; 0: no constraint
    # occurrences of each voice clip in an epoch, each time with another face of its person
    repeats: int = within(1, 1, 10_000)

    @property
    def options(self) -> AssociationOptions:
        return options_of(AssociationOptions, self)


@dataclass
class AssociationConfig(PairingConfig):
    """`task: association`."""

    voice: str = "???"  # embedding.scp for the clips of data_dir
    face: str = "???"
    valid_voice: str = ""  # embedding.scp for the held-out people of valid_dir
    valid_face: str = ""


@dataclass(frozen=True)
class Side:
    """Embeddings of one modality: vectors (n, d), and the number of each one's person (n,)."""

    vectors: Tensor
    people: Tensor


@dataclass(frozen=True)
class TrainingPeople:
    """The training people: names, and their values of each covariate as numbers."""

    names: list[str]
    values: dict[str, Tensor]  # covariate -> (people,) int64

    @property
    def n_classes(self) -> dict[str, int]:
        return {covariate: int(values.max()) + 1 for covariate, values in self.values.items()}


def number_people(data: DataDir, names: list[str], wanted: tuple[str, ...]) -> TrainingPeople:
    """Number the people and their values of the covariates `wanted`.

    Raises
    ------
    InputError : a table is absent, or a person is missing from it
    """
    values = {"identity": torch.arange(len(names))}
    for covariate in wanted:
        if covariate == "identity" or covariate not in COVARIATES:
            continue
        table = data.table(TABLES[covariate])
        absent = [spk for spk in names if spk not in table]
        if absent:
            raise InputError(f'{data.path}/{TABLES[covariate]}: {len(absent)} people are missing, such as '
                            f'"{absent[0]}"; '
                            f"add them, or drop {covariate} from covariates")  # fmt: skip
        values[covariate] = torch.from_numpy(np.unique([table[spk] for spk in names], return_inverse=True)[1])
    return TrainingPeople(names, values)


def people_with_both(data: DataDir, voices: list[str], faces: list[str]) -> list[str]:
    """Names of the people with a voice and a face; InputError for fewer than two, or a clip missing from utt2spk."""
    for utt in (*voices, *faces):
        if utt not in data.utt2spk:
            raise InputError(f'{data.path}/utt2spk: expected every clip, "{utt}" is missing')
    both = {data.utt2spk[utt] for utt in voices} & {data.utt2spk[utt] for utt in faces}
    if len(both) < 2:
        raise InputError(f"{data.path}: expected at least 2 people with a voice and a face, found {len(both)}")
    return sorted(both)


def read_sides(data: DataDir, voice_scp: str, face_scp: str) -> tuple[list[Side], list[str]]:
    """Read the voice and face embeddings of people with both, and their names; the log counts the others."""
    sides = [read_embeddings(scp) for scp in (voice_scp, face_scp)]
    names = people_with_both(data, *(list(side.ids) for side in sides))
    numbers = {spk: number for number, spk in enumerate(names)}
    kept = []
    for kind, side in zip(("voices", "faces"), sides, strict=True):
        rows = [row for row, utt in enumerate(side.ids) if data.utt2spk[utt] in numbers]
        people = torch.tensor([numbers[data.utt2spk[side.ids[row]]] for row in rows])
        kept.append(Side(torch.from_numpy(side.vectors[rows]), people))
        log.info("%s: %d %s of %d people; left out %d of people without the other modality", data.path, len(rows), kind,
                 len(names), len(side.ids) - len(rows))  # fmt: skip
    return kept, names


def plan_pairs(voices: Tensor, faces: Tensor, config: PairingConfig, epoch: int) -> list[tuple[Tensor, Tensor]]:
    """Plan the batches of an epoch: rows of voices, each with the row of a random face of the same person.

    Parameters
    ----------
    voices, faces : (n,), (m,) int64, the person of each
    """
    seed = [config.seed, epoch]
    labels = voices.repeat(config.repeats)
    size = min(config.batch_size, len(labels))
    rng = np.random.default_rng([*seed, 1])
    order = np.argsort(faces.numpy(), kind="stable")
    counts = np.bincount(faces.numpy(), minlength=int(voices.max()) + 1)
    first = np.cumsum(counts) - counts
    batches = []
    for rows in plan_by_person(labels, size, config.clips_per_person, seed):
        people = labels[rows].numpy()
        chosen = order[first[people] + rng.integers(0, counts[people])]
        batches.append((rows % len(voices), torch.from_numpy(chosen)))
    return batches


def cross_modal_eer(family: Family, voice: Tensor, face: Tensor, people: list[np.ndarray]) -> float:
    """EER in percent of all voices against all faces; for SVHF, its error of 1:2 matching.

    Parameters
    ----------
    voice, face : inputs of the family
    people : the person of each voice and of each face
    """
    vectors = [family.voice(voice), family.face(face)]
    if isinstance(family, OddOneOut):
        return odd_one_out_error(family, vectors, people)
    unit = [F.normalize(v.float()).cpu().numpy() for v in vectors]
    same = people[0][:, None] == people[1][None]
    return 100 * eer((unit[0] @ unit[1].T).ravel(), same.ravel())


def odd_one_out_error(family: OddOneOut, vectors: list[Tensor], people: list[np.ndarray]) -> float:
    """Error in percent over all true candidates of each query, each with a wrong one drawn with a fixed seed."""
    given, others = (0, 1) if family.voice_given else (1, 0)
    same = people[given][:, None] == people[others][None]
    rng = np.random.default_rng(0)
    query, right = np.nonzero(same)
    wrong = np.array([rng.choice(np.flatnonzero(~same[q])) for q in query])
    candidates = vectors[others][torch.from_numpy(np.stack([right, wrong], 1))]
    scores = family.choose(vectors[given][torch.from_numpy(query)], candidates).float().cpu().numpy()
    return float(100 * np.mean(np.where(scores[:, 0] == scores[:, 1], 0.5, scores[:, 0] < scores[:, 1])))


def random_values(config: AssociationOptions, n_people: int) -> dict[str, Tensor]:
    """Covariates for a dry run: two genders, 36 nationalities as in VoxCeleb1, five ages."""
    sizes: Mapping[str, int] = {"gender": 2, "nationality": 36, "age": 5}
    values = {"identity": torch.arange(n_people)}
    return values | {c: torch.arange(n_people) % sizes[c] for c in config.covariates if c in sizes}


def refuse_lone_clips(config: AssociationConfig) -> None:
    """InputError if batches would contain no positive pairs for FOP's loss."""
    if config.system == "fop" and config.fusion != "none" and config.alpha and config.clips_per_person == 1:
        raise InputError("clips_per_person=1: system fop needs several clips of a person in a batch; set it to "
                        "2 or more, or alpha to 0")  # fmt: skip


class AssociationTask(Task):
    """`task: association`: writes association.safetensors."""

    config_class = AssociationConfig
    title = "Association of voices and faces, from their embeddings."

    def read(self) -> Inputs:
        config = self.config
        refuse_lone_clips(config)
        data = read_data_dir(config.data_dir)
        self.sides, names = read_sides(data, config.voice, config.face)
        self.people = number_people(data, names, config.covariates if config.system == "dimnet" else ())
        known = digest([names, *(values.tolist() for values in self.people.values.values()),
                        *(side.people.tolist() for side in self.sides)])  # fmt: skip
        keys = {"data": [known, *(digest_arrays(side.vectors) for side in self.sides)],
                "validation": validation_digests(config)}  # fmt: skip
        return Inputs(keys)

    def random_data(self, n_people: int, n_clips: int) -> RandomData:
        """Embeddings of the published encoders' sizes."""
        sizes, size = (192, 512), min(self.config.batch_size, n_clips)
        self.people = TrainingPeople([], random_values(self.config, n_people))
        labels = torch.arange(size) % n_people
        self.sides = [Side(torch.randn(size, n), labels) for n in sizes]
        return RandomData(lambda n: (torch.arange(n), torch.arange(n)), n_clips * self.config.repeats,
                          f"embeddings of a voice and a face {sizes}")  # fmt: skip

    def make_model(self) -> Family:
        sizes = [side.vectors.shape[1] for side in self.sides]
        family = make_family(sizes, self.people.n_classes, self.config.options)
        family.set_means(*(side.vectors for side in self.sides))
        return family

    def make_step(self, trainer: Trainer) -> Step:
        """The step on rows of voices and rows of faces."""

        def step(batch):
            voice, face = (side.vectors[rows].to(trainer.device) for side, rows in zip(self.sides, batch, strict=True))
            labels = self.sides[0].people[batch[0]]
            covariates = {name: values[labels].to(trainer.device) for name, values in self.people.values.items()}
            return self.model.loss(Pairs(voice, face, labels.to(trainer.device), covariates), trainer.done)

        return step

    def plan(self, epoch: int) -> list[tuple[Tensor, Tensor]]:
        return plan_pairs(*(side.people for side in self.sides), self.config, epoch)

    def batches(self, epoch: int) -> list[tuple[Tensor, Tensor]]:
        return self.plan(epoch)

    def make_validation(self, trainer: Trainer) -> Validate | None:
        config = self.config
        if not config.valid_dir:
            return None
        sides, names = read_sides(read_data_dir(config.valid_dir), config.valid_voice, config.valid_face)
        refuse_trained(config.valid_dir, names, self.people.names)
        inputs = [side.vectors.to(trainer.device) for side in sides]
        people = [side.people.numpy() for side in sides]
        return lambda family: {"eer_percent": cross_modal_eer(family, *inputs, people)}

    def save(self) -> None:
        save(self.config.exp_dir, ASSOCIATION, self.model, self.model.description)
