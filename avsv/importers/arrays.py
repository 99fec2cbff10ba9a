"""Importing embeddings from files of named arrays (npz, npy, safetensors): finding the vectors and their names.

Two structures are supported. In a table, an (n, d) array of numbers goes with n names: an array or list of strings, a
separate text file, or, in safetensors, a JSON list in the metadata. Otherwise each utterance has an array under its own
name, with d values or one row of d, as in ESPnet's npz files.
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
SHOWN = 8  # arrays listed in a message
# safetensors types that numpy always supports; some others work only if another package registers them
NUMBERS = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
ALONE = ""  # key of the only array in a file that has no names


def read_npz(path: Path | str) -> tuple[Arrays, Strings]:
    """Read an npz file: its arrays of numbers, and its one-dimensional arrays of strings."""
    try:
        return split_strings(path, numpy_files.read_npz(path, str(path)))
    except PythonObjects as error:
        raise InputError(f"{error}. Save names as strings: numpy.array(names, dtype=str)") from None


def read_npy(path: Path | str) -> tuple[Arrays, Strings]:
    """Read the one array of an npy file."""
    try:
        return {ALONE: numpy_files.read_npy(path)}, {}
    except PythonObjects as error:
        command = "python -c \"import numpy; numpy.savez('out.npz', **numpy.load('{}', allow_pickle=True).item())\""
        raise InputError(
            f"{error}. If you trust the file and it is a dictionary of vectors, convert it to npz where it was made: "
            f"{command.format(path)}"
        ) from None


def read_safetensors(path: Path | str) -> tuple[Arrays, Strings]:
    """Read a safetensors file: its tensors, and the lists of strings in its metadata."""
    from safetensors import SafetensorError, safe_open

    arrays, strings = {}, {}
    try:
        with safe_open(path, framework="np") as file:
            for key, value in (file.metadata() or {}).items():
                if (names := json_strings(value)) is not None:
                    strings[key] = names
            for key in file.keys():  # noqa: SIM118 - not a dict
                kind = file.get_slice(key).get_dtype()
                if kind not in NUMBERS:
                    raise InputError(f'{path}: the tensor "{key}" has type {kind}, which numpy lacks; save float32')
                arrays[key] = file.get_tensor(key)
    except SafetensorError as error:
        raise InputError(f"{path}: is damaged or not a safetensors file: {error}") from None
    return arrays, strings


ARRAYS = {"npz": read_npz, "npy": read_npy, "safetensors": read_safetensors}


def json_strings(value: str) -> list[str] | None:
    """Parse a metadata value as a non-empty JSON list of strings; None for any other value."""
    try:
        names = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return names if isinstance(names, list) and names and all(isinstance(name, str) for name in names) else None


def split_strings(path: Path | str, arrays: Arrays) -> tuple[Arrays, Strings]:
    """Separate one-dimensional arrays of strings from the other arrays."""
    strings = {}
    for key, array in arrays.items():
        if array.ndim == 1 and array.dtype.kind in "US":
            try:
                strings[key] = (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array).tolist()
            except UnicodeDecodeError as error:
                raise InputError(f'{path}: the array "{key}" is not UTF-8 text: {error.object!r}') from None
    return {key: array for key, array in arrays.items() if key not in strings}, strings


def choose_arrays(
    path: Path | str, form: str, arrays: Arrays, strings: Strings,
    array: str | None = None, names: str | None = None, names_file: Path | str | None = None,
) -> RawEmbeddings:  # fmt: skip
    """Choose the names and the vectors among a file's arrays.

    Parameters
    ----------
    form : format of the file, for messages
    arrays, strings : the file's contents by key
    array, names : keys of the vectors and of the names, needed if several fit
    names_file : text file with one name per line

    Raises
    ------
    InputError : the choice is ambiguous or impossible; the message lists the candidates
    """
    for option, key, known in (("array", array, arrays), ("names", names, strings)):
        if key is not None and key not in known:
            raise InputError(f"{path}: `{option}` {key}: no such key; the file has {listed(arrays, strings)}")
    if names is not None and names_file is not None:
        raise InputError(f"{path}: `names` and `names_file` exclude each other")
    keys = {*arrays, *strings}
    if names_file is not None:
        strings, names = {str(names_file): read_names(names_file)}, str(names_file)
    if not strings and array is None and not is_one_table(arrays):
        return one_each(path, form, arrays)
    if not strings:
        raise InputError(f"{path}: has no names, found {listed(arrays, strings)}; pass `names_file`, one name per line")
    tables = {key: rows for key, value in arrays.items() if (rows := table(value)) is not None}
    key = array if array in tables else array_for(path, arrays, tables, strings, names, array)
    names = names or names_for(path, key, len(tables[key]), strings)
    if len(strings[names]) != len(tables[key]):
        raise InputError(
            f"{path}: the array {key} has {len(tables[key])} rows, but {names} has {len(strings[names])} names"
        )
    others = sorted(keys - {key, names})
    unread = f"; not read: {brief(others)}" if others else ""
    return RawEmbeddings(
        strings[names], tables[key], f"{form}: vectors{f' {key}' if key else ''}, names in {names}{unread}"
    )


def is_one_table(arrays: Arrays) -> bool:
    """Whether a file consists of one array that cannot be a single utterance: it has no key, or several rows."""
    return ALONE in arrays or (
        len(arrays) == 1 and all(table(value) is not None and len(value) > 1 for value in arrays.values())
    )


def array_for(path, arrays: Arrays, tables: Arrays, strings: Strings, names: str | None, asked: str | None) -> str:
    """Key of the embeddings: the only table with as many rows as there are names."""
    lengths = {len(strings[key]) for key in ([names] if names else strings)}
    fitting = [] if asked else [key for key, rows in tables.items() if len(rows) in lengths]
    if len(fitting) > 1:
        sizes = ", ".join(shape(key, arrays[key]) for key in fitting)
        raise InputError(f"{path}: several arrays could be the embeddings: {sizes}; choose one: `array` {fitting[0]}")
    if not fitting:
        counts = " or ".join(map(str, sorted(lengths)))
        raise InputError(
            f"{path}: expected {counts} rows of floating-point numbers, one per name, found {listed(arrays, strings)}"
        )
    return fitting[0]


def names_for(path: Path | str, key: str, n_rows: int, strings: Strings) -> str:
    """Key of the names of `n_rows` rows: the only list of that length."""
    fitting = [name for name, value in strings.items() if len(value) == n_rows]
    if len(fitting) > 1:
        examples = ", ".join(f'{name} ("{strings[name][0]}", ...)' for name in fitting)
        raise InputError(f"{path}: several arrays could be the names: {examples}; choose one: `names` {fitting[0]}")
    if not fitting:
        raise InputError(f"{path}: the array {key} has {n_rows} rows, expected as many names, found "
                        f"{listed({}, strings)}")  # fmt: skip
    return fitting[0]


def one_each(path: Path | str, form: str, arrays: Arrays) -> RawEmbeddings:
    """Names and vectors of a file in which each array is the vector of one utterance."""
    if not arrays:
        raise InputError(f"{path}: has no arrays")
    for key, value in arrays.items():
        if value.dtype.kind != "f" or value.ndim == 0 or value.size != value.shape[-1]:
            problem = f"{path}: has no list of names, so expected one vector per utterance, found {shape(key, value)}"
            if table(value) is None:
                raise InputError(f"{problem}; the file has {listed(arrays, {})}")
            raise InputError(
                f"{problem}. Average the rows (ESPnet: --average_embd true) or, if each row is an utterance, pass "
                f"`names_file` and `array` {key}. The file has {listed(arrays, {})}"
            )
    vectors = [value.reshape(-1) for value in arrays.values()]
    return RawEmbeddings(list(arrays), vectors, f"{form}: one array per utterance", "array")


def table(array: np.ndarray) -> np.ndarray | None:
    """A floating-point array of shape (n, d), or (n, 1, d) from SpeechBrain's `encode_batch`, as (n, d), or None."""
    if array.dtype.kind != "f":
        return None
    if array.ndim == 3 and array.shape[1] == 1:
        return array[:, 0]
    return array if array.ndim == 2 else None


def read_names(path: Path | str) -> list[str]:
    """Read a text file of names, one per line."""
    names = read_lines(path)
    for number, name in enumerate(names, 1):
        if name.split() != [name]:
            raise InputError(f'{path}, line {number}: expected one name, found "{name}"; cut -d" " -f1 keeps the first')
    return names


def listed(arrays: Arrays, strings: Strings) -> str:
    """Contents of a file, for a message."""
    words = [f"{key} ({len(value)} strings)" for key, value in strings.items()]
    return brief(words + [shape(key, value) for key, value in arrays.items()])


def shape(key: str, array: np.ndarray) -> str:
    return f"{key or 'an array'} [{','.join(map(str, array.shape))}] {array.dtype}"


def brief(words: list[str]) -> str:
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")
