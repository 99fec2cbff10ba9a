"""Embeddings in text tables, for import: `name,v1,v2,...`, with or without a header; comma, tab or space."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from avsv.errors import InputError
from avsv.importers.embeddings import RawEmbeddings
from avsv.jobs.inputs import as_text, open_regular
from avsv.kaldi.columns import Growing
from avsv.kaldi.decimals import number_of

LONGEST = 1 << 22  # bytes of a line


def read_text(path: Path | str) -> RawEmbeddings:
    """A name and its values on each line.

    The first line tells the delimiter: tab where it has one, else comma, else white space. It is a header where its
    values are not numbers, where its name is empty, or where the values count up from 0 or 1, which is how pandas names
    columns that have no names.

    Raises
    ------
    InputError : shows the line whose values are not numbers, or are more or fewer than on the first line
    """
    names, vectors = [], None
    kind, header = "", False
    for number, (delimiter, fields) in enumerate(rows(path), 1):
        kind = kind or {"\t": "tab", ",": "comma"}.get(delimiter, "space")
        if number == 1 and is_header(fields):
            header = True
            continue
        if not fields:
            raise InputError(f"{path}, line {number}: is empty, expected {kind}-separated name and values")
        try:
            vector = np.array([number_of(value) for value in fields[1:]], np.float32)
        except ValueError:
            wrong = next(value for value in fields[1:] if not is_number(value))
            raise InputError(
                f'{path}, line {number}: expected {kind}-separated name and numbers, found "{wrong[:100]}" after '
                f'the name "{fields[0][:100]}"'
            ) from None
        if vectors is None:
            vectors, width = Growing(np.float32, len(vector)), len(vector)
        if len(vector) != width:
            raise InputError(
                f'{path}, line {number} ("{fields[0][:100]}"): has {len(vector)} values, '
                f"not {width} as line {1 + header}"
            )
        names.append(fields[0])
        vectors.add(vector[None])
    found = [] if vectors is None else vectors.array()
    return RawEmbeddings(
        names, found, f"text, {kind}-separated{', with a header' if header else ''}", "line", 1 + header
    )


def rows(path: Path | str) -> Iterator[tuple[str, list[str]]]:
    """The delimiter of a file, and each of its lines cut at it."""
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
        raise InputError(f"{path}: is no table: {error}") from None


def text_lines(path: Path | str, file: BinaryIO) -> Iterator[str]:
    """The lines of a file as text; InputError for one that is none, or that is too long for a vector."""
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


def is_number(value: str) -> bool:
    try:
        number_of(value)
    except ValueError:
        return False
    return True
