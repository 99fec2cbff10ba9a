"""Untrusted YAML as a tree of nodes: no objects are built, and a small file cannot expand into a huge one."""

from pathlib import Path

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file

LARGEST = 1 << 18  # bytes; configurations and hyperparams.yaml have a few thousand
DEEPEST, MOST_ALIASES = 20, 10  # those of the recipes have two levels and no alias


def read_yaml_text(path: Path | str) -> str:
    """The text of a YAML file, checked to have a tree of bounded size.

    Raises
    ------
    InputError : not a regular file, too large or too deep, too many aliases, a repeated key, not YAML, not UTF-8
    FileNotFoundError
    """
    regular_file(path)
    with open(path, "rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"{path}: is larger than {LARGEST >> 10} KiB, expected a settings file")
    try:
        text = data.decode("utf-8-sig")
        refuse_bombs(text, path)
        refuse_duplicates(yaml.compose(text, Loader=yaml.SafeLoader), path)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not a YAML mapping: {' '.join(str(error).split())[:300]}") from None
    return text


def refuse_bombs(text: str, path: Path | str) -> None:
    """InputError if the tree is deep or has many aliases: each level of nested aliases doubles the expanded size."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        aliases += isinstance(event, AliasEvent)
        if depth > DEEPEST or aliases > MOST_ALIASES:
            raise InputError(f"{path}: is not a YAML mapping: it has more than {DEEPEST} levels, or more than "
                            f"{MOST_ALIASES} aliases")  # fmt: skip


def refuse_duplicates(node: yaml.Node | None, path: Path | str, above: tuple[yaml.Node, ...] = ()) -> None:
    """InputError if a mapping repeats a key: the first value would be lost silently."""
    if node in above:
        raise InputError(f"{path}, line {node.start_mark.line + 1}: a collection contains itself")
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode):
                if key.value in lines:
                    raise InputError(f'{path}, line {line}: the key "{key.value}" is on line {lines[key.value]} '
                                    "already; keep one of them")  # fmt: skip
                lines[key.value] = line
            refuse_duplicates(key, path, (*above, node))
            refuse_duplicates(value, path, (*above, node))
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            refuse_duplicates(value, path, (*above, node))


def read_yaml_tree(path: Path | str) -> yaml.MappingNode:
    """The nodes of a YAML mapping, with unknown tags kept as text.

    Raises
    ------
    InputError : as `read_yaml_text`, or not a mapping
    FileNotFoundError
    """
    root = yaml.compose(read_yaml_text(path), Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise InputError(f"{path}: is not a YAML mapping")
    return root
