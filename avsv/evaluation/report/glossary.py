"""The glossary of a report: each system and each part of a back-end's name, in one line."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from avsv.evaluation.report.html import Markup, tag
from avsv.evaluation.results import ScoreFile
from avsv.jobs.provenance import sources_of

SYSTEMS = {
    "voice": "speaker embeddings of the waveform alone",
    "face": "face embeddings of the image alone",
    "avn_e": "AVN-E: one embedding of voice and face, each weighted by attention on its quality (early fusion)",
    "avn_e_paper": "AVN-E as published by Qian, Chen and Wang (2021): attention on the embeddings, trained on "
    "AAM-softmax and a contrastive loss, with damage drawn from noise statistics",
    "avn_e_paper_v1": "AVN-E as published, with its simpler augmentation: vectors of noise and of zeros (v1)",
    "avn_f": "AVN-F: a network that fuses feature maps of voice and face (feature-level fusion)",
    "mean": "score fusion: the mean of the voice's and the face's score",
    "logistic": "score fusion: logistic regression over the voice's and the face's score",
    "quality": "quality-dependent score fusion: the quality of the recordings sets how much the voice's and the face's "
    "score count",
}
BACKENDS = {
    "cosine": "cosine of the two embeddings; in score fusion, the back-end of the scores that are fused",
    "plda": "log-likelihood ratio of probabilistic linear discriminant analysis (PLDA), trained on the training set",
    "as-norm": "adaptive score normalisation: each side's score is normalised by its most similar cohort speakers",
    "mean-norm": "the mean of each side's highest scores against recordings of the test's domain is subtracted",
    "s-norm": "symmetric score normalisation by the whole cohort",
    "z-norm": "score normalisation by the enrolment side's scores against the cohort",
    "t-norm": "score normalisation by the test side's scores against the cohort",
    "shared": "compared on the modalities that both clips have: voice with voice, face with face",
    "calibrated": "mapped to log-likelihood ratios by logistic regression, trained on held-out people",
    "quality": "mapped to log-likelihood ratios by the quality of the recordings, trained on clean and damaged clips "
    "of held-out people",
    "qmf": "fusion with quality measures: how clean the speech is, how sharp the face, how long the embeddings are",
    "center": "the mean of the training embeddings is subtracted first",
    "lda": "linear discriminant analysis is applied to the embeddings first",
}
ADAPTED = "_adapted"  # ending of the recipes' names of adapted systems
OTHER_BACKEND = "part of the score file's name; avsv gives it no meaning"


def glossary_section(files: Sequence[ScoreFile]) -> Markup:
    """What the names in the tables mean: systems first, then the parts of back-ends' names."""
    by_system = {file.system: file.path for file in files}
    parts = dict.fromkeys(part for file in files for part in file.backend.split("+"))
    systems = {name: describe_system(name, by_system[name]) for name in sorted(by_system)}
    backends = {part: BACKENDS.get(part, OTHER_BACKEND) for part in sorted(parts, key=backend_order)}
    return tag("div", terms("Systems", systems), terms("Back-ends", backends), class_="glossary")


def backend_order(part: str) -> tuple[int, str]:
    known = list(BACKENDS)
    return (known.index(part) if part in known else len(known), part)


def terms(title: str, meanings: Mapping[str, str]) -> Markup:
    items = [[tag("dt", name), tag("dd", meaning)] for name, meaning in meanings.items()]
    return tag("div", tag("h4", title), tag("dl", items))


def describe_system(name: str, scores: Path) -> str:
    """A system's meaning: the recipes' own names are known, others follow from how their scores were made.

    Examples
    --------
    >>> describe_system("face_adapted", Path("exp/face_adapted/scores/test.cosine"))
    "face embeddings of the image alone; on embeddings adapted to the test's domain"
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    if (raw := name.removesuffix(ADAPTED)) != name:
        return f"{describe_system(raw, scores)}; on embeddings adapted to the test's domain"
    fused = sorted({path.parent.parent.name for path in sources_of(scores, "scores")} - {name})
    if fused:
        return f"score fusion of {' and '.join(fused)}"
    if sources_of(scores, "voice") and sources_of(scores, "face"):
        return "embeddings of a network that fuses voice and face"
    if sources_of(scores, "enroll"):
        return f"embeddings in {name}/"
    return "scores without a record of how they were made, such as those of another toolkit"
