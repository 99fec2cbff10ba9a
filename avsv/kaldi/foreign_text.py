"""Embeddings in text tables, for import: `name,v1,v2,...`, with or without a header; comma, tab or space."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.kaldi.foreign_embeddings import Foreign


def read_text(path: Path | str) -> Foreign:
    """A name and its values on each line.

    The first line tells the delimiter: tab where it has one, else comma, else white space. It is a header where its
    values are not numbers, where its name is empty, or where the values count up from 0 or 1, which is how pandas names
    columns that have no names.

    Raises
    ------
    UserError : shows the line whose values are not numbers, or are more or fewer than on the first line
    """
    names, vectors, places = [], [], []
    kind, header = "", False
    for number, (delimiter, fields) in enumerate(rows(path), 1):
        kind = kind or {"\t": "tab", ",": "comma"}.get(delimiter, "space")
        if number == 1 and is_header(fields):
            header = True
            continue
        if not fields:
            raise UserError(f"{path}, line {number}: is empty, expected {kind}-separated name and values")
        try:
            vector = np.array([float(value) for value in fields[1:]], np.float32)
        except ValueError:
            wrong = next(value for value in fields[1:] if not is_number(value))
            raise UserError(
                f'{path}, line {number}: expected {kind}-separated name and numbers, found "{wrong[:100]}" after '
                f'the name "{fields[0][:100]}"'
            ) from None
        if vectors and len(vector) != len(vectors[0]):
            raise UserError(
                f'{path}, line {number} ("{fields[0][:100]}"): has {len(vector)} values, '
                f"not {len(vectors[0])} as {places[0]}"
            )
        names.append(fields[0])
        vectors.append(vector)
        places.append(f"line {number}")
    return Foreign(names, vectors, f"text, {kind}-separated{', with a header' if header else ''}", places)


def rows(path: Path | str) -> Iterator[tuple[str, list[str]]]:
    """The delimiter of a file, and each of its lines cut at it."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = next((mark for mark in "\t," if mark in first), " ")
            lines = (line.split() for line in file) if delimiter == " " else csv.reader(file, delimiter=delimiter)
            for fields in lines:
                yield delimiter, [field.strip() for field in fields]
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not a text file (byte {error.start} is not UTF-8)") from None
    except csv.Error as error:
        raise UserError(f"{path}: is no table: {error}") from None


def is_header(fields: list[str]) -> bool:
    if len(fields) < 2:
        return False
    if not all(is_number(value) for value in fields[1:]):
        return not any(is_number(value) for value in fields[1:]) or not fields[0]
    counted = [[str(n) for n in range(start, start + len(fields) - 1)] for start in (0, 1)]
    return not fields[0] or (len(fields) > 3 and fields[1:] in counted)


def is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
