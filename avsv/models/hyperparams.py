"""What a SpeechBrain model's hyperparams.yaml may name.

HyperPyYAML builds objects while it reads: `!new:`, `!name:` and `!apply:` take any Python name there is, and a model
from anywhere could run any program. Only the parts that speaker encoders are made of are let through.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from avsv.errors import UserError

PLAIN = re.compile(r"tag:yaml\.org,2002:(str|int|float|bool|null|seq|map)|!ref|!copy|!tuple")
PARTS = re.compile(
    r"!(new|name):(torch\.nn\.[A-Z]\w*"
    r"|speechbrain\.(lobes\.features|processing\.features|lobes\.models\.(ECAPA_TDNN|Xvector|ResNet)|nnet\.[A-Za-z]+"
    r"|dataio\.encoder)\.[A-Z]\w*"
    r"|avsv\.models\.resnet\.SpeakerResNet)"
)
PRETRAINER = "!new:speechbrain.utils.parameter_transfer.Pretrainer"


def refuse_code(path: Path) -> None:
    """UserError where the file names anything but parts of speaker encoders, or takes weights from elsewhere.

    Raises
    ------
    UserError : tells the line; also where it is no YAML
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is not the YAML of a SpeechBrain model: {' '.join(str(error).split())}") from None
    for node in nodes_of(root, set()):
        line = node.start_mark.line + 1
        if node.tag == PRETRAINER:
            refuse_elsewhere(path, node)
        elif not (PLAIN.fullmatch(node.tag) or PARTS.fullmatch(node.tag)):
            raise UserError(f"{path}, line {line}: {node.tag} is no part of a speaker encoder; it is not read, for it "
                            "could run any program")  # fmt: skip


def nodes_of(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    """A node and all below it, each once."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for below in pair:
                yield from nodes_of(below, seen)
    elif isinstance(node, yaml.SequenceNode):
        for below in node.value:
            yield from nodes_of(below, seen)


def refuse_elsewhere(path: Path, pretrainer: yaml.Node) -> None:
    """UserError where weights do not lie beside the file: they would be fetched, or come from anywhere on this disk."""
    for key, value in pretrainer.value if isinstance(pretrainer, yaml.MappingNode) else ():
        if key.value not in ("loadables", "paths"):
            raise UserError(f"{path}, line {key.start_mark.line + 1}: the pretrainer takes loadables and paths only")
        if key.value == "paths":
            for _, place in value.value if isinstance(value, yaml.MappingNode) else [(None, value)]:
                beside = place.tag == "!ref" and re.fullmatch(r"<pretrained_path>/[\w.-]+", str(place.value))
                if not beside:
                    raise UserError(f"{path}, line {place.start_mark.line + 1}: expected weights beside this file, "
                                    f'"!ref <pretrained_path>/NAME", found "{place.value}"')  # fmt: skip
