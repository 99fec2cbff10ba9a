"""A SpeechBrain model's hyperparams.yaml, read as data.

HyperPyYAML builds objects while it reads: its tags accept any Python name and its references access attributes, so a
downloaded model could run any program. This module only parses the file into a tree of nodes. It recognises the speaker
encoders that SpeechBrain publishes and avsv trains by their tags, and reads their numbers.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avsv.errors import InputError
from avsv.jobs.yaml_files import read_yaml_tree
from avsv.models.front_ends import (
    FBANK,
    NORMALIZATION,
    RATE,
    FrameNormalization,
    KaldiFbank,
    Spectrogram,
    Unchanged,
    Waveform,
)
from avsv.models.limits import Check, between, boolean, number, one_of
from avsv.models.speaker_encoders import ACTIVATION, LOADED_ONLY, SPEAKER_ENCODERS

PLAIN = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|seq|map)|!ref|!copy|!tuple")
PARTS = re.compile(
    r"!(new|name):(torch\.nn\.[A-Z]\w*"
    r"|speechbrain\.(lobes\.features|processing\.features|lobes\.models\.(ECAPA_TDNN|Xvector|ResNet)|nnet\.[A-Za-z]+"
    r"|dataio\.encoder)\.[A-Z]\w*"
    r")"
)
PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"
SPECTROGRAM, BY_FRAME = "avsv.models.front_ends.Spectrogram", "avsv.models.front_ends.FrameNormalization"
WAVEFORM, UNCHANGED = "avsv.models.front_ends.Waveform", "avsv.models.front_ends.Unchanged"
KALDI = "avsv.models.front_ends.KaldiFbank"
FEATURES, NORMALIZATIONS = (FBANK, KALDI, SPECTROGRAM, WAVEFORM), (NORMALIZATION, BY_FRAME, UNCHANGED)
TRUST = (
    "avsv builds ECAPA-TDNN, x-vector and ResNet encoders itself and runs no code that a model folder names. If you "
    "trust the author of this folder and any code it names, add `trust_model`: SpeechBrain then executes the file"
)
OPERATIONS: dict[type, Callable] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                                    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv}  # fmt: skip


# allowed arguments of each part, and their limits; avsv sets "device" itself
OPTIONS: dict[str, Mapping[str, Check]] = {
    FBANK: {"deltas": boolean, "context": boolean, "requires_grad": boolean, "sample_rate": one_of(RATE),
            "f_min": number, "f_max": lambda value: value is None or number(value), "n_fft": between(1, 4096),
            "n_mels": between(1, 1024), "filter_shape": one_of("triangular", "rectangular", "gaussian"),
            "param_change_factor": number, "param_rand_factor": number, "left_frames": between(0, 64),
            "right_frames": between(0, 64), "win_length": between(1, 1000), "hop_length": between(1, 1000)},
    NORMALIZATION: {"mean_norm": boolean, "std_norm": boolean, "norm_type": one_of("sentence"),
                    "avoid_padding_norm": boolean, "epsilon": number},
    SPECTROGRAM: Spectrogram.limits,
    BY_FRAME: FrameNormalization.limits,
    KALDI: KaldiFbank.limits,
    WAVEFORM: Waveform.limits,
    UNCHANGED: Unchanged.limits,
    **{of.network: of.limits for of in (*SPEAKER_ENCODERS.values(), *LOADED_ONLY)},
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """The recipe for building a speaker encoder.

    network : class name, a key of OPTIONS
    options, features, normalization : arguments of the class, of the features and of their normalisation
    weights : file of the network's weights, in the folder of hyperparams.yaml
    others : other files that SpeechBrain reads (those of the classifier); they do not affect embeddings
    features_class, normalization_class : keys of OPTIONS
    """

    network: str
    options: dict[str, Any]
    features: dict[str, Any]
    normalization: dict[str, Any]
    weights: str
    others: tuple[str, ...] = ()
    features_class: str = FBANK
    normalization_class: str = NORMALIZATION


class Hyperparams:
    """The tree of one file.

    Parameters
    ----------
    path : hyperparams.yaml

    Raises
    ------
    InputError : not YAML, a tag that does not belong to a speaker encoder, or weights outside the file's folder
    """

    def __init__(self, path: Path):
        self.path = path
        self.values: dict[yaml.Node, Any] = {}
        root = read_yaml_tree(path)
        self.keys: dict[str, yaml.Node] = {key.value: node for key, node in root.value if is_text(key)}
        self.check_tags(root)
        for node in self.keys.values():
            if node.tag == PRETRAINER:
                self.loadables(node)

    def error(self, node: yaml.Node, message: str) -> InputError:
        return InputError(f"{self.path}, line {node.start_mark.line + 1}: {message}")

    def check_tags(self, node: yaml.Node) -> None:
        known = PLAIN.fullmatch(node.tag) or PARTS.fullmatch(node.tag) or node.tag.removeprefix("!new:") in OPTIONS
        if node.tag != PRETRAINER and not known:
            raise self.error(node, f"{node.tag} does not belong to a speaker encoder. {TRUST}")
        for below in node.value if isinstance(node, yaml.CollectionNode) else ():
            for each in below if isinstance(below, tuple) else (below,):
                self.check_tags(each)

    def target(self, node: yaml.Node) -> yaml.Node:
        """The node that `!ref <name>` leads to, or the node itself."""
        for _ in range(10):
            name = re.fullmatch(r"<(\w+)>", str(node.value)) if node.tag in ("!ref", "!copy") else None
            if name is None:
                return node
            if name[1] not in self.keys:
                raise self.error(node, f'"{node.value}": no such key')
            node = self.keys[name[1]]
        raise self.error(node, "a reference leads to itself")

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """The plain value of a node: a number, text or a list, with references and arithmetic resolved.

        Each node is computed once; otherwise the cost of nested references would grow exponentially.
        """
        if depth > 10:
            raise self.error(node, "a reference leads to itself")
        if node not in self.values:
            self.values[node] = self.value_of(node, depth)
        return self.values[node]

    def value_of(self, node: yaml.Node, depth: int) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        if ACTIVATION.fullmatch(node.tag):
            return node.tag if node.value in ("", []) else node
        if not isinstance(node, yaml.ScalarNode):
            return node
        if node.tag in ("!ref", "!copy"):
            return self.compute(node, depth)
        return plain(node.value)

    def compute(self, node: yaml.Node, depth: int) -> Any:
        """`!ref <a>`, or arithmetic such as `!ref <a> * 2`; anything else stays text."""
        whole = re.fullmatch(r"<(\w+)>", node.value)
        if whole and whole[1] in self.keys:
            return self.value(self.keys[whole[1]], depth + 1)

        def substitute(name: re.Match) -> str:
            value = self.value(self.keys[name[1]], depth + 1) if name[1] in self.keys else None
            return repr(value) if number(value) else name[0]

        text = re.sub(r"<(\w+)>", substitute, node.value)
        try:
            return calculate(ast.parse(text[:200].strip(), mode="eval").body)
        except (SyntaxError, ValueError, TypeError, ZeroDivisionError, OverflowError, RecursionError):
            return text

    def loadables(self, pretrainer: yaml.Node) -> tuple[dict[str, yaml.Node], dict[str, str]]:
        """The pretrainer's loadables, and the files of some of them; InputError for a file outside this folder."""
        entries = pretrainer.value if isinstance(pretrainer, yaml.MappingNode) else ()
        nodes: dict[str, yaml.Node] = {}
        files: dict[str, str] = {}
        for key, value in entries:
            if key.value not in ("loadables", "paths", "collect_in"):
                raise self.error(key, f"expected only loadables and paths in the pretrainer. {TRUST}")
            pairs = value.value if isinstance(value, yaml.MappingNode) else [(None, value)]
            for name, path in pairs if key.value == "paths" else ():
                inside = re.fullmatch(r"<pretrained_path>/((?:[\w-][\w.-]*/)*[\w-][\w.-]*)", str(path.value))
                if path.tag != "!ref" or not inside:
                    raise self.error(path, 'expected weights in this folder, "!ref <pretrained_path>/NAME", found '
                                      f'"{path.value if is_text(path) else path.tag}"')  # fmt: skip
                files[name.value] = inside[1]
            if key.value == "loadables":
                nodes = {name.value: node for name, node in pairs if name is not None}
        return nodes, files

    def part(self, modules: Mapping[str, yaml.Node], name: str) -> tuple[yaml.Node, str, dict[str, Any]]:
        """The node, the class and the arguments of a module, by its name."""
        if name not in modules and name not in self.keys:
            raise InputError(f"{self.path}: has no {name}; expected a SpeechBrain speaker encoder")
        node = self.target(modules.get(name, self.keys.get(name)))
        of = node.tag.removeprefix("!new:")
        front = {"compute_features": FEATURES, "mean_var_norm": NORMALIZATIONS}
        expected = front.get(name, OPTIONS.keys() - {*FEATURES, *NORMALIZATIONS})
        if of not in expected:
            raise self.error(node, f"{name}: {node.tag} is not recognised. {TRUST}")
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        if not pairs and node.value not in ("", []):
            raise self.error(node, f"{name}: expected arguments by name. {TRUST}")
        options = {key.value: (key, self.value(value)) for key, value in pairs if key.value != "device"}
        for option, (key, value) in options.items():
            if option not in OPTIONS[of] or not OPTIONS[of][option](value):
                items = value if isinstance(value, list) else [value]
                plain_ones = all(isinstance(item, str | int | float | None) for item in items)
                shown = str(value)[:100] if plain_ones else "a value of another kind"
                raise self.error(key, f"{name}: {option}: {shown} is not recognised. {TRUST}")
        return node, of, {option: value for option, (_, value) in options.items()}


def read_recipe(path: Path) -> Recipe:
    """The recipe for the speaker encoder in a hyperparams.yaml.

    Raises
    ------
    InputError : raised by `Hyperparams`, or the encoder is not recognised; the message names the line
    """
    file = Hyperparams(path)
    rate = file.value(file.keys["sample_rate"]) if "sample_rate" in file.keys else RATE
    if rate != RATE:
        raise file.error(file.keys["sample_rate"], f"the encoder expects {rate} Hz audio; avsv supports {RATE} Hz only")
    modules = file.keys.get("modules")
    named = {key.value: node for key, node in modules.value} if isinstance(modules, yaml.MappingNode) else {}
    node, network, options = file.part(named, "embedding_model")
    features, normalization = (file.part(named, name) for name in ("compute_features", "mean_var_norm"))
    if normalization[1] == NORMALIZATION and "norm_type" not in normalization[2]:
        raise file.error(features[0], f"expected Fbank and InputNormalization with norm_type: sentence. {TRUST}")
    weights, others = "embedding_model.ckpt", ()
    for pretrainer in (each for each in file.keys.values() if each.tag == PRETRAINER):
        loadables, files = file.loadables(pretrainer)
        name = next((name for name, loadable in loadables.items() if file.target(loadable) is node), "embedding_model")
        weights = files.get(name, f"{name}.ckpt")
        others = tuple(files.get(other, f"{other}.ckpt") for other in loadables if other != name)
    return Recipe(network, options, features[2], normalization[2], weights, others, features[1], normalization[1])


def is_text(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.ScalarNode)


def plain(text: str) -> Any:
    """The value of a YAML scalar: a number, True, False, None, or its text.

    Examples
    --------
    >>> plain("80"), plain("1e-5"), plain("False"), plain("null"), plain("(1, 2)")
    (80, 1e-05, False, None, '(1, 2)')
    """
    words = {"true": True, "false": False, "yes": True, "no": False, "null": None, "~": None, "": None}
    if text.lower() in words:
        return words[text.lower()]
    if re.fullmatch(r"[-+]?\d{1,15}", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", text[:40]):
        return float(text)
    return text


def calculate(node: ast.expr) -> int | float:
    """The value of an arithmetic expression: numbers, + - * / // and parentheses.

    Examples
    --------
    >>> calculate(ast.parse("(512 + 256) // 2 * 3", mode="eval").body)
    1152
    """
    if isinstance(node, ast.Constant) and number(node.value):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -calculate(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        result = OPERATIONS[type(node.op)](calculate(node.left), calculate(node.right))
        if number(result):
            return result
    raise ValueError("not plain arithmetic")
