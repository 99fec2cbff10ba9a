"""A SpeechBrain model's hyperparams.yaml, read as data.

HyperPyYAML builds objects while it reads: its tags take any Python name there is, its references walk attributes, and a
model from anywhere could run any program. Here the file is a tree of nodes that nothing is built from: the speaker
encoders that SpeechBrain publishes, and those that avsv trains, are recognised by their tags, and their numbers read.
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
FBANK, NORMALIZATION = "speechbrain.lobes.features.Fbank", "speechbrain.processing.features.InputNormalization"
RATE = 16000
TRUST = (
    "avsv builds ECAPA-TDNN, x-vector and ResNet encoders by itself and runs nothing that a model folder names. If you "
    "know who made this folder and would run their program, add `trust_model`: SpeechBrain then does what the file says"
)
OPERATIONS: dict[type, Callable] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
                                    ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv}  # fmt: skip


# the arguments that each part may be given, and their limits; avsv chooses "device" itself
OPTIONS: dict[str, Mapping[str, Check]] = {
    FBANK: {"deltas": boolean, "context": boolean, "requires_grad": boolean, "sample_rate": one_of(RATE),
            "f_min": number, "f_max": lambda value: value is None or number(value), "n_fft": between(1, 4096),
            "n_mels": between(1, 1024), "filter_shape": one_of("triangular", "rectangular", "gaussian"),
            "param_change_factor": number, "param_rand_factor": number, "left_frames": between(0, 64),
            "right_frames": between(0, 64), "win_length": between(1, 1000), "hop_length": between(1, 1000)},
    NORMALIZATION: {"mean_norm": boolean, "std_norm": boolean, "norm_type": one_of("sentence"),
                    "avoid_padding_norm": boolean, "epsilon": number},
    **{of.network: of.limits for of in (*SPEAKER_ENCODERS.values(), *LOADED_ONLY)},
}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How a speaker encoder is built.

    network : the class, a key of OPTIONS
    options, features, normalization : arguments of the class, of SpeechBrain's Fbank and its InputNormalization
    weights : the file of the network's weights, in the folder of hyperparams.yaml
    others : files beside it that SpeechBrain reads as well (of the classifier); they change no embedding
    """

    network: str
    options: dict[str, Any]
    features: dict[str, Any]
    normalization: dict[str, Any]
    weights: str
    others: tuple[str, ...] = ()


class Hyperparams:
    """The tree of one file.

    Parameters
    ----------
    path : hyperparams.yaml

    Raises
    ------
    InputError : not YAML, a tag that is no part of a speaker encoder, weights that are not beside the file
    """

    def __init__(self, path: Path):
        self.path = path
        self.values: dict[yaml.Node, Any] = {}
        root = read_yaml_tree(path)
        self.keys: dict[str, yaml.Node] = {key.value: node for key, node in root.value if is_text(key)}
        self.refuse_tags(root)
        for node in self.keys.values():
            if node.tag == PRETRAINER:
                self.places(node)

    def refuse(self, node: yaml.Node, what: str) -> InputError:
        return InputError(f"{self.path}, line {node.start_mark.line + 1}: {what}")

    def refuse_tags(self, node: yaml.Node) -> None:
        known = PLAIN.fullmatch(node.tag) or PARTS.fullmatch(node.tag) or node.tag.removeprefix("!new:") in OPTIONS
        if node.tag != PRETRAINER and not known:
            raise self.refuse(node, f"{node.tag} is no part of a speaker encoder. {TRUST}")
        for below in node.value if isinstance(node, yaml.CollectionNode) else ():
            for each in below if isinstance(below, tuple) else (below,):
                self.refuse_tags(each)

    def target(self, node: yaml.Node) -> yaml.Node:
        """The node that `!ref <name>` leads to, or the node itself."""
        for _ in range(10):
            name = re.fullmatch(r"<(\w+)>", str(node.value)) if node.tag in ("!ref", "!copy") else None
            if name is None:
                return node
            if name[1] not in self.keys:
                raise self.refuse(node, f'"{node.value}": there is no such key')
            node = self.keys[name[1]]
        raise self.refuse(node, "a reference leads to itself")

    def value(self, node: yaml.Node, depth: int = 0) -> Any:
        """The plain value of a node: numbers, text, lists of these; references are followed, and computed with.

        Each node is computed once: references to references would else multiply.
        """
        if depth > 10:
            raise self.refuse(node, "a reference leads to itself")
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

        def put_in(name: re.Match) -> str:
            found = self.value(self.keys[name[1]], depth + 1) if name[1] in self.keys else None
            return repr(found) if number(found) else name[0]

        text = re.sub(r"<(\w+)>", put_in, node.value)
        try:
            return calculate(ast.parse(text[:200].strip(), mode="eval").body)
        except (SyntaxError, ValueError, TypeError, ZeroDivisionError, OverflowError, RecursionError):
            return text

    def places(self, pretrainer: yaml.Node) -> tuple[dict[str, yaml.Node], dict[str, str]]:
        """Loadables of the pretrainer, and the files of some of them; InputError where one is not beside this file."""
        entries = pretrainer.value if isinstance(pretrainer, yaml.MappingNode) else ()
        loadables: dict[str, yaml.Node] = {}
        files: dict[str, str] = {}
        for key, value in entries:
            if key.value not in ("loadables", "paths", "collect_in"):
                raise self.refuse(key, f"the pretrainer takes loadables and paths only. {TRUST}")
            pairs = value.value if isinstance(value, yaml.MappingNode) else [(None, value)]
            for name, place in pairs if key.value == "paths" else ():
                beside = re.fullmatch(r"<pretrained_path>/((?:[\w-][\w.-]*/)*[\w-][\w.-]*)", str(place.value))
                if place.tag != "!ref" or not beside:
                    raise self.refuse(place, 'expected weights beside this file, "!ref <pretrained_path>/NAME", found '
                                      f'"{place.value if is_text(place) else place.tag}"')  # fmt: skip
                files[name.value] = beside[1]
            if key.value == "loadables":
                loadables = {name.value: place for name, place in pairs if name is not None}
        return loadables, files

    def part(self, modules: Mapping[str, yaml.Node], name: str) -> tuple[yaml.Node, str, dict[str, Any]]:
        """A module by its name: its node, its class, and the arguments that it is given."""
        if name not in modules and name not in self.keys:
            raise InputError(f"{self.path}: there is no {name}, so this is no speaker encoder of SpeechBrain")
        node = self.target(modules.get(name, self.keys.get(name)))
        of = node.tag.removeprefix("!new:")
        if of not in OPTIONS or (of in (FBANK, NORMALIZATION)) != (name != "embedding_model"):
            raise self.refuse(node, f"{name}: {node.tag} is not recognised. {TRUST}")
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        if not pairs and node.value not in ("", []):
            raise self.refuse(node, f"{name}: expected arguments by name. {TRUST}")
        options = {key.value: (key, self.value(value)) for key, value in pairs if key.value != "device"}
        for option, (key, value) in options.items():
            if option not in OPTIONS[of] or not OPTIONS[of][option](value):
                items = value if isinstance(value, list) else [value]
                plain_ones = all(isinstance(item, str | int | float | None) for item in items)
                shown = str(value)[:100] if plain_ones else "something else"
                raise self.refuse(key, f"{name}: {option}: {shown} is not recognised. {TRUST}")
        return node, of, {option: value for option, (_, value) in options.items()}


def read_recipe(path: Path) -> Recipe:
    """How the speaker encoder of a hyperparams.yaml is built.

    Raises
    ------
    InputError : what `Hyperparams` raises, or an encoder that is not recognised; tells the line
    """
    file = Hyperparams(path)
    rate = file.value(file.keys["sample_rate"]) if "sample_rate" in file.keys else RATE
    if rate != RATE:
        raise file.refuse(file.keys["sample_rate"], f"an encoder of sound at {rate} Hz; avsv gives it {RATE} Hz")
    modules = file.keys.get("modules")
    named = {key.value: node for key, node in modules.value} if isinstance(modules, yaml.MappingNode) else {}
    node, network, options = file.part(named, "embedding_model")
    features, normalization = (file.part(named, name) for name in ("compute_features", "mean_var_norm"))
    if (features[1], normalization[1]) != (FBANK, NORMALIZATION) or "norm_type" not in normalization[2]:
        raise file.refuse(features[0], f"expected Fbank and InputNormalization of each sentence. {TRUST}")
    weights, others = "embedding_model.ckpt", ()
    for pretrainer in (each for each in file.keys.values() if each.tag == PRETRAINER):
        loadables, files = file.places(pretrainer)
        name = next((name for name, place in loadables.items() if file.target(place) is node), "embedding_model")
        weights = files.get(name, f"{name}.ckpt")
        others = tuple(files.get(other, f"{other}.ckpt") for other in loadables if other != name)
    return Recipe(network, options, features[2], normalization[2], weights, others)


def is_text(node: yaml.Node | None) -> bool:
    return isinstance(node, yaml.ScalarNode)


def plain(text: str) -> Any:
    """A scalar's value: a number, true or false, nothing, or its text.

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
    """The value of an expression of numbers, + - * / // and brackets.

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
