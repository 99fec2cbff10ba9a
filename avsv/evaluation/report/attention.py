"""The attention of a fusion network: the weight of the voice, by the damage to the clip's voice or face.

embed-pair writes EXP_DIR/SYSTEM/SET/weights ("utt voice face"), embed-clips utt2voice_weight; utt2damage of the test
set lists the damage. For each system, the condition with the most kinds of damage is shown.
"""

import glob
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.report.html import Markup, tag
from avsv.evaluation.report.inside import files_inside
from avsv.evaluation.report.svg import Frame, short
from avsv.evaluation.tables import markdown_rows
from avsv.kaldi.damage import MISSING, read_damage
from avsv.kaldi.tables import read_table

FILES = ("weights", "utt2voice_weight")  # the voice's weight is the first number of both
CLEAN = "clean"
LETTER = 6.6  # width of a label's letter in the figure
SHARES = (5, 25, 50, 75, 95)  # percentiles


@dataclass(frozen=True)
class Attention:
    """The voice's weight under one system and condition.

    weights : damage ("clean", "voice: babble", "face: missing", "voice and face") -> weights of these clips
    """

    system: str
    condition: str
    weights: dict[str, np.ndarray]

    def mean(self, start: str) -> float | None:
        """Mean weight of clips with modality `start` damaged but present; for "clean", of the clean clips."""
        weights = [w for kind, w in self.weights.items()
                   if kind == start or (kind.startswith(f"{start}: ") and not kind.endswith(MISSING))]  # fmt: skip
        return float(np.concatenate(weights).mean()) if weights else None


def find_attention(exp_dir: Path, data: Mapping[str, Path], systems: Collection[str] | None = None) -> list[Attention]:
    """Attention weights of all systems that wrote them.

    Parameters
    ----------
    systems : systems to include; None for all
    data : condition -> data directory; the folder of embeddings has the same name
    """
    best: dict[str, Attention] = {}
    damages = {condition: kinds_of_damage(path) for condition, path in data.items()}
    for condition, path in data.items():
        for file in (file for name in FILES for file in files_inside(exp_dir, f"*/{glob.escape(path.name)}/{name}")):
            system = file.parent.parent.name
            if systems is not None and system not in systems:
                continue
            attention = Attention(system, condition, by_kind(read_voice_weights(file), damages[condition]))
            if len(attention.weights) > max(1, len(best[system].weights) if system in best else 0):
                best[system] = attention
    return [best[system] for system in sorted(best)]


def kinds_of_damage(data_dir: Path) -> dict[str, str]:
    """Utterance -> its damage, "voice: babble" or "voice and face"."""
    sides = {modality: read_damage(data_dir, modality) for modality in ("voice", "face")}
    kinds = {utt: f"{modality}: {damage['kind']}" for modality, side in sides.items() for utt, damage in side.items()}
    return kinds | dict.fromkeys(sides["voice"].keys() & sides["face"].keys(), "voice and face")


def read_voice_weights(path: Path) -> dict[str, float]:
    try:
        return {utt: float(text.split()[0]) for utt, text in read_table(path).items()}
    except (ValueError, IndexError):
        raise InputError(f'{path}: expected "utterance weight-of-voice ..." on every line') from None


def by_kind(weights: Mapping[str, float], kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Weights by damage: clean first, then voice and face by name.

    Examples
    --------
    >>> by_kind({"a": 0.5, "b": 0.2, "c": 0.3}, {"b": "voice: babble", "c": "voice: babble"})
    {'clean': array([0.5]), 'voice: babble': array([0.2, 0.3])}
    """
    grouped: dict[str, list[float]] = {}
    for utt, weight in weights.items():
        grouped.setdefault(kinds.get(utt, CLEAN), []).append(weight)
    order = sorted(grouped, key=lambda kind: (kind != CLEAN, not kind.startswith("voice: "), kind))
    return {kind: np.array(grouped[kind]) for kind in order}


def attention_section(attentions: Sequence[Attention]) -> Markup:
    """One figure per system."""
    text = (
        "Share of the voice in the fused embedding, by damage to the clip: 1 is voice alone, 0 face alone. "
        "Box: the middle half of the clips, with the median; line: from the 5th to the 95th percentile. A network that "
        "recognises damage moves right if the face is damaged, and left if the voice is."
    )
    drawn = [
        tag("figure", tag("figcaption", tag("b", one.system), tag("span", one.condition, class_="quiet")), plot(one))
        for one in attentions
    ]
    return tag("div", tag("p", text, class_="note"), tag("div", drawn, class_="figures"))


def plot(attention: Attention) -> Markup:
    """Box plots, one row per kind of damage."""
    labels = {kind: f"{kind} {len(weights):,}" for kind, weights in attention.weights.items()}
    row, left = 22, max(170, round(14 + LETTER * max(map(len, labels.values()))))
    height = row * len(attention.weights) + 46
    frame = Frame((0, 1), (0, 1), 420, height, (left, 14, 4, 42))
    drawn, y = [], 4.0
    for kind, weights in attention.weights.items():
        places = frame.xs(np.percentile(weights, SHARES))
        low, lower, median, _, high = (short(place) for place in places)
        middle = short(y + row / 2)
        colour = f"c{('clean', 'voice', 'face').index(kind.partition(':')[0]) if kind != 'voice and face' else 3}"
        about = tag("title", f"{kind}: {len(weights):,} clips, mean {weights.mean():.2f}")
        drawn += [
            tag("text", kind, tag("tspan", f" {len(weights):,}", class_="quiet"), x=6, y=short(y + row / 2 + 4)),
            tag("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"),
            tag("rect", about, x=lower, y=short(y + 4), width=short(max(1.0, places[3] - places[1])), height=row - 8,
                class_=f"bar {colour}"),
            tag("line", x1=median, x2=median, y1=short(y + 2), y2=short(y + row - 2), class_="whisker"),
        ]  # fmt: skip
        y += row
    ticks = [(value, f"{value:g}") for value in (0, 0.25, 0.5, 0.75, 1)]
    return frame.svg(f"Weight of the voice in {attention.system}, {attention.condition}", frame.grid(ticks, []), drawn,
                     frame.titles("Weight of the voice"))  # fmt: skip


def attention_markdown(attentions: Sequence[Attention]) -> list[str]:
    """The mean weight of the voice per system, for clean, voice-damaged and face-damaged clips, for results.md."""
    rows = [["System", "Condition", "clean", "voice damaged", "face damaged"]]
    for one in attentions:
        means = [one.mean(state) for state in (CLEAN, "voice", "face")]
        rows.append([one.system, one.condition, *("-" if mean is None else f"{mean:.2f}" for mean in means)])
    return ["## Mean weight of the voice in the fused embedding", "", *markdown_rows(rows), ""] if attentions else []
