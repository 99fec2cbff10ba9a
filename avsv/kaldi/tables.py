"""Kaldi's text tables: one record a line, the key first, sorted as `LC_ALL=C sort` does."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.jobs.inputs import as_text, read_bytes

VISIBLE = bytes(range(ord(" ") + 1, 256))


def read_table(path: Path | str, fields: int | None = None, shape: str = "key value") -> dict[str, str]:
    """Read `key value` lines.

    Parameters
    ----------
    path : the table's file
    fields : the exact number of fields on a line; None if the value may be empty or contain spaces
    shape : what a line should look like, for the message

    Returns
    -------
    dict in the file's order

    Raises
    ------
    InputError : the file is absent, is not text, has a malformed line or repeats a key
    """
    path = Path(path)
    if (plain := read_plain(path, fields)) is not None:
        return plain
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        key, _, value = line.strip().partition(" ") if "\t" not in line else line.replace("\t", " ", 1).partition(" ")
        value = value.strip()
        if not key or (fields is not None and len(line.split()) != fields):
            n_fields = len(line.split())
            raise InputError(f'{path}, line {number}: expected "{shape}", found {n_fields} fields: "{line.strip()}"')
        if key in table:
            raise InputError(f'{path}, line {number}: "{key}" occurs twice in the table')
        table[key] = value
    return table


def read_plain(path: Path, fields: int | None) -> dict[str, str] | None:
    """The table if every line is `key value` with one space and no key repeats; otherwise None.

    Tables that this package writes have this form; a million lines take about two seconds.
    """
    data = read_bytes(path)
    text = as_text(path, data)
    if fields not in (None, 2) or text[:1] in " \n" or not text.endswith("\n") or " \n" in text or "\n " in text:
        return None
    blanks = data.translate(None, VISIBLE)
    if blanks == b" \n" * (len(blanks) // 2):  # two words on each line
        words = text.replace("\n", " ").split(" ")
        table = dict(zip(words[0::2], words[1::2], strict=False))
        return table if 2 * len(table) == len(blanks) else None
    if fields == 2 or any(odd in text for odd in ("\t", "\r", "\v", "\f", "  ", "\n\n")):
        return None
    lines = cut_lines(text)
    try:
        table = dict(line.split(" ", 1) for line in lines)
    except ValueError:  # a line without a value
        return None
    return table if len(table) == len(lines) else None


def read_lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 text file without their ends; InputError if the file is not such text."""
    return cut_lines(as_text(path, read_bytes(path)))


def cut_lines(text: str) -> list[str]:
    """The lines of a text. Unlike `splitlines`, does not cut at marks such as U+2028, which may be in a path.

    Examples
    --------
    >>> cut_lines("a 1\\r\\nb \\u2028\\n")
    ['a 1', 'b \\u2028']
    """
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:  # after the end of the last line
        lines.pop()
    return lines


def write_table(path: Path | str, table: Mapping[str, str] | Iterable[tuple[str, str]]) -> None:
    """Write `key value` lines, sorted by key as bytes (what `LC_ALL=C sort` gives).

    Raises
    ------
    InputError : a key that is empty or has white space, or a value with a line end: neither could be read back
    """
    rows = table.items() if isinstance(table, Mapping) else table
    with whole_file(path) as out:
        for key, value in sorted(rows, key=lambda row: row[0].encode()):
            if key.split() != [key] or "\n" in value or "\r" in value:
                raise unwritable(path, key, value)
            out.write(f"{key} {value}\n")


def unwritable(path: Path | str, key: str, value: str) -> InputError:
    """The error for a line that could not be read back."""
    if key.split() != [key]:
        return InputError(f'{path}: the name "{key}" is empty or has white space, which tables do not allow; rename '
                         f"the folder or file that it comes from: {value[:200]}")  # fmt: skip
    return InputError(f"{path}: the value of {key} contains a line end: {value[:200]!r}; rename the file")


def invert(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """`utt -> spk` as `spk -> "utt utt ..."`, both in C order.

    Examples
    --------
    >>> invert({"b-2": "b", "a-1": "a", "b-1": "b"})
    {'a': 'a-1', 'b': 'b-1 b-2'}
    """
    groups: dict[str, list[str]] = {}
    for utt in sorted(utt2spk, key=str.encode):
        groups.setdefault(utt2spk[utt], []).append(utt)
    return {spk: " ".join(groups[spk]) for spk in sorted(groups, key=str.encode)}
