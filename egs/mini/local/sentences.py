"""Random sentences: every clip has different words, so the words do not identify the speaker."""

import numpy as np

WORDS = {
    "article": "the a this that every some one another her his our their".split(),
    "adjective": """
        quiet yellow heavy clever broken early frozen gentle hollow narrow purple rapid silver sudden thirsty useful
        warm young zealous bitter careful dusty eager famous golden humble jolly lazy modern noisy""".split(),
    "noun": """
        fisherman garden window teacher river bottle village engine shadow orange kitchen letter mountain pocket farmer
        thunder blanket circle dragon feather guitar hammer island jungle ladder market needle ocean painter question
        ribbon soldier ticket uncle valley wagon yard zebra bridge cousin doctor elephant forest holiday""".split(),
    "verb": """
        carried found opened followed painted remembered borrowed watched finished answered pushed collected counted
        dropped enjoyed forgot gathered helped ignored joined kept lifted measured noticed ordered picked reached showed
        touched understood visited washed""".split(),
    "place": """
        behind the house, near the station, under a bridge, across the water, beside our school, over the hills, inside
        the theatre, around the corner, along the coast, outside the city, through the fog, against the wall""".split(
        ","
    ),
    "time": """
        yesterday, before breakfast, in the evening, twice a week, after the rain, on Thursday, every summer, at half
        past three, long ago, for six months, without delay, once again, this afternoon, at first""".split(","),
    "join": "and but so because while although until".split(),
}
CLAUSES = (
    "article adjective noun verb article noun place",
    "time article noun verb article adjective noun",
    "article noun verb article noun time",
    "article noun place verb article adjective noun time",
)


def clause(rng: np.random.Generator) -> str:
    """Draw one clause."""
    kinds = CLAUSES[rng.integers(len(CLAUSES))].split()
    return " ".join(" ".join(WORDS[kind][rng.integers(len(WORDS[kind]))].split()) for kind in kinds)


def sentence(rng: np.random.Generator, clauses: int = 2) -> str:
    """Draw clauses and join them into one sentence.

    Examples
    --------
    >>> sentence(np.random.default_rng(1), 1) != sentence(np.random.default_rng(2), 1)
    True
    """
    text = clause(rng)
    for _ in range(clauses - 1):
        text += f", {WORDS['join'][rng.integers(len(WORDS['join']))]} {clause(rng)}"
    return text + "."
