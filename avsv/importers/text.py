"""Importing embeddings from text tables: `name,v1,v2,...`, separated by comma, tab or space, with or without header."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from avsv.errors import InputError
from avsv.importers.embeddings import RawEmbeddings
from avsv.jobs.inputs import as_text, open_regular
from avsv.kaldi.columns import Growing
from avsv.kaldi.decimals import is_number, number_of

LONGEST = 1 << 22  # bytes of a line


def read_text(path: Path | str) -> RawEmbeddings:
    """Read a table with a name and its values on each line.

    The first line sets the delimiter: a tab if it has one, otherwise a comma if it has one, otherwise white space. It
    is a header if its values are not numbers, its name is empty, or its values count up from 0 or 1, as in pandas'
    default column names.

    Raises
    ------
    InputError : a line has values that are not numbers, or not as many values as the first; the message shows the line
    """
    names, vectors = [], None
    kind, header = "", False
    for number, (delimiter, fields) in enumerate(rows(path), 1):
        kind = kind or {"\t": "tab", ",": "comma"}.get(delimiter, "space")
        if number == 1 and is_header(fields):
            header = True
            continue
        if not fields:
            raise InputError(f"{path}, line {number}: is empty, expected a {kind}-separated name and values")
        try:
            vector = np.array([number_of(value) for value in fields[1:]], np.float32)
        except ValueError:
            wrong = next(value for value in fields[1:] if not is_number(value))
            raise InputError(
                f'{path}, line {number}: expected a {kind}-separated name and numbers, found "{wrong[:100]}" after '
                f'the name "{fields[0][:100]}"'
            ) from None
        if vectors is None:
            vectors, width = Growing(np.float32, len(vector)), len(vector)
        if len(vector) != width:
            raise InputError(
                f'{path}, line {number} ("{fields[0][:100]}"): expected {width} values as on line {1 + header}, '
                f"found {len(vector)}"
            )
        names.append(fields[0])
        vectors.add(vector[None])
    table = [] if vectors is None else vectors.array()
    return RawEmbeddings(
        names, table, f"text, {kind}-separated{', with a header' if header else ''}", "line", 1 + header
    )


def rows(path: Path | str) -> Iterator[tuple[str, list[str]]]:
    """Yield the delimiter of a file and the fields of each of its lines."""
    try:
        with open_regular(path) as file:
            first = next(text_lines(path, file), "")
            file.seek(0)
            delimiter = next((mark for mark in "\t," if mark in first), " ")
            text = text_lines(path, file)
            lines = (line.split() for line in text) if delimiter == " " else csv.reader(text, delimiter=delimiter)
            for fields in lines:
                yield delimiter, [field.strip() for field in fields]
    except csv.Error as error:
        raise InputError(f"{path}: is not a table: {error}") from None


def text_lines(path: Path | str, file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file as text; raises InputError for a line that is not text or too long for a vector."""
    while line := file.readline(LONGEST + 1):
        if len(line) > LONGEST:
            raise InputError(f"{path}: has a line of more than {LONGEST >> 20} MiB; is this a table of embeddings?")
        yield as_text(path, line)


def is_header(fields: list[str]) -> bool:
    if len(fields) < 2:
        return False
    if not all(is_number(value) for value in fields[1:]):
        return not any(is_number(value) for value in fields[1:]) or not fields[0]
    counted = [[str(n) for n in range(start, start + len(fields) - 1)] for start in (0, 1)]
    return not fields[0] or (len(fields) > 3 and fields[1:] in counted)
