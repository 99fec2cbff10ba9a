"""Embeddings in files of named arrays: npz, npy and safetensors, and what is a name and what a vector in them.

Two structures are read. A table: a (n, d) array of numbers and n names, which are an array or list of strings, or stand
in a file of their own; in safetensors a list of names is JSON in the metadata. Or an array for each utterance, under
the utterance's name: d values, or one row of d, which is what ESPnet's npz files are.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.importers import numpy_files
from avsv.importers.embeddings import RawEmbeddings
from avsv.importers.numpy_files import PythonObjects
from avsv.kaldi.tables import read_lines

Arrays = Mapping[str, np.ndarray]
Strings = Mapping[str, Sequence[str]]
SHOWN = 8  # arrays that a message lists
# of safetensors; of its other types numpy knows some only where a package has told it of them
NUMBERS = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
ALONE = ""  # the key of an array in a file of one, which has no name


def read_npz(path: Path | str) -> tuple[Arrays, Strings]:
    """Arrays of numbers, and one-dimensional arrays of strings."""
    try:
        return sort_out(path, numpy_files.read_npz(path, str(path)))
    except PythonObjects as error:
        raise InputError(f"{error}. Save strings as strings: numpy.array(names, dtype=str)") from None


def read_npy(path: Path | str) -> tuple[Arrays, Strings]:
    """The one array of a file."""
    try:
        return {ALONE: numpy_files.read_npy(path)}, {}
    except PythonObjects as error:
        command = "python -c \"import numpy; numpy.savez('out.npz', **numpy.load('{}', allow_pickle=True).item())\""
        raise InputError(
            f"{error}. If you trust it and it is a dictionary of vectors, turn it into npz where it was made: "
            f"{command.format(path)}"
        ) from None


def read_safetensors(path: Path | str) -> tuple[Arrays, Strings]:
    """Tensors, and the lists of strings in the metadata."""
    from safetensors import SafetensorError, safe_open

    arrays, strings = {}, {}
    try:
        with safe_open(path, framework="np") as file:
            for key, value in (file.metadata() or {}).items():
                if (names := json_strings(value)) is not None:
                    strings[key] = names
            for key in file.keys():  # noqa: SIM118 - it is no dict
                kind = file.get_slice(key).get_dtype()
                if kind not in NUMBERS:
                    raise InputError(
                        f'{path}: the tensor "{key}" has numbers of type {kind}, which numpy has not: save float32'
                    )
                arrays[key] = file.get_tensor(key)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged, or no safetensors file: {error}") from None
    return arrays, strings


ARRAYS = {"npz": read_npz, "npy": read_npy, "safetensors": read_safetensors}


def json_strings(value: str) -> list[str] | None:
    """The list of strings that a metadata value is, if it is one."""
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) and found and all(isinstance(name, str) for name in found) else None


def sort_out(path: Path | str, arrays: Arrays) -> tuple[Arrays, Strings]:
    """Arrays of strings apart from the others."""
    strings = {}
    for key, array in arrays.items():
        if array.ndim == 1 and array.dtype.kind in "US":
            try:
                strings[key] = (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).tolist()
            except UnicodeDecodeError as error:
                raise InputError(
                    f'{path}: the array "{key}" holds bytes that are not UTF-8 text: {error.object!r}'
                ) from None
    return {key: array for key, array in arrays.items() if key not in strings}, strings


def choose(
    path: Path | str, form: str, arrays: Arrays, strings: Strings,
    array: str | None = None, names: str | None = None, names_file: Path | str | None = None,
) -> RawEmbeddings:  # fmt: skip
    """The names and vectors among a file's arrays.

    Parameters
    ----------
    arrays, strings : by their keys in the file
    array, names : keys; needed where several fit
    names_file : one name a line

    Raises
    ------
    InputError : lists what fits, or what there is where nothing does, and tells the option to give
    """
    for option, key, known in (("--array", array, arrays), ("--names", names, strings)):
        if key is not None and key not in known:
            raise InputError(f"{path}: {option} {key}: there is none of that name. It has {listed(arrays, strings)}")
    if names is not None and names_file is not None:
        raise InputError(f"{path}: --names and --names-file both tell the names: give one of them")
    held = {*arrays, *strings}
    if names_file is not None:
        strings, names = {str(names_file): read_names(names_file)}, str(names_file)
    if not strings and array is None and not is_one_table(arrays):
        return one_each(path, form, arrays)
    if not strings:
        raise InputError(f"{path}: has no names, found {listed(arrays, strings)}: give --names-file, one name a line")
    tables = {key: rows for key, value in arrays.items() if (rows := table(value)) is not None}
    key = array if array in tables else array_for(path, arrays, tables, strings, names, array)
    names = names or names_for(path, key, len(tables[key]), strings)
    if len(strings[names]) != len(tables[key]):
        raise InputError(
            f"{path}: the array {key} has {len(tables[key])} rows, but there are {len(strings[names])} names in {names}"
        )
    others = sorted(held - {key, names})
    unread = f"; not read: {brief(others)}" if others else ""
    return RawEmbeddings(
        strings[names], tables[key], f"{form}: vectors{f' {key}' if key else ''}, names in {names}{unread}"
    )


def is_one_table(arrays: Arrays) -> bool:
    """Whether there is nothing but one array of several rows, or one that has no name that could be an utterance's."""
    return ALONE in arrays or (
        len(arrays) == 1 and all(table(value) is not None and len(value) > 1 for value in arrays.values())
    )


def array_for(path, arrays: Arrays, tables: Arrays, strings: Strings, names: str | None, asked: str | None) -> str:
    """Which array is the embeddings: the one table that has as many rows as there are names."""
    lengths = {len(strings[key]) for key in ([names] if names else strings)}
    fitting = [] if asked else [key for key, rows in tables.items() if len(rows) in lengths]
    if len(fitting) > 1:
        sizes = ", ".join(shape(key, arrays[key]) for key in fitting)
        raise InputError(f"{path}: several arrays could be the embeddings: {sizes}. Name one: --array {fitting[0]}")
    if not fitting:
        counts = " or ".join(map(str, sorted(lengths)))
        raise InputError(
            f"{path}: expected rows of floating-point numbers for {counts} names, found {listed(arrays, strings)}"
        )
    return fitting[0]


def names_for(path: Path | str, key: str, n_rows: int, strings: Strings) -> str:
    """Which strings are the names of `n_rows` rows."""
    fitting = [name for name, value in strings.items() if len(value) == n_rows]
    if len(fitting) > 1:
        examples = ", ".join(f'{name} ("{strings[name][0]}", ...)' for name in fitting)
        raise InputError(f"{path}: several could be the names: {examples}. Name one: --names {fitting[0]}")
    if not fitting:
        raise InputError(f"{path}: the array {key} has {n_rows} rows, found {listed({}, strings)}")
    return fitting[0]


def one_each(path: Path | str, form: str, arrays: Arrays) -> RawEmbeddings:
    """Names and vectors where each array is one utterance's vector."""
    if not arrays:
        raise InputError(f"{path}: there are no arrays in it")
    for key, value in arrays.items():
        if value.dtype.kind != "f" or value.ndim == 0 or value.size != value.shape[-1]:
            what = (
                f"{path}: has no names, so each array should be the vector of the utterance that it is called after; "
            )
            if table(value) is None:
                raise InputError(f"{what}found {shape(key, value)}. It has {listed(arrays, {})}")
            raise InputError(
                f"{what}found {shape(key, value)}. Average the rows (ESPnet: --average_embd true), or, if they are "
                f"utterances, name them: --names-file, and --array {key}. It has {listed(arrays, {})}"
            )
    vectors = [value.reshape(-1) for value in arrays.values()]
    return RawEmbeddings(list(arrays), vectors, f"{form}: one array for each", "array")


def table(array: np.ndarray) -> np.ndarray | None:
    """The array as (n, d), if it is floating-point numbers of that shape, or of (n, 1, d) as `encode_batch` gives."""
    if array.dtype.kind != "f":
        return None
    if array.ndim == 3 and array.shape[1] == 1:
        return array[:, 0]
    return array if array.ndim == 2 else None


def read_names(path: Path | str) -> list[str]:
    """One name a line."""
    names = read_lines(path)
    for number, name in enumerate(names, 1):
        if name.split() != [name]:
            raise InputError(f'{path}, line {number}: expected one name, found "{name}"; cut -d" " -f1 keeps the first')
    return names


def listed(arrays: Arrays, strings: Strings) -> str:
    """What a file has, for a message."""
    words = [f"{key} ({len(value)} strings)" for key, value in strings.items()]
    return brief(words + [shape(key, value) for key, value in arrays.items()])


def shape(key: str, array: np.ndarray) -> str:
    return f"{key or 'an array'} [{','.join(map(str, array.shape))}] {array.dtype}"


def brief(words: list[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")
