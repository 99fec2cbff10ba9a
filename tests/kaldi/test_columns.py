"""Bulk tables: identifiers get the numbers that a dictionary would assign, in blocks and from several threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.kaldi import columns
from avsv.kaldi.columns import Identifiers, as_bytes, group_equal, hash_words, join_columns, read_blocks

name = st.binary(min_size=1, max_size=30).map(lambda b: bytes(33 + c % 90 for c in b))


def numbered(path, size):
    """Row numbers of the first field, read in blocks of `size` bytes."""
    seen = Identifiers()
    before, columns.BLOCK = columns.BLOCK, size
    try:
        blocks = read_blocks(path, 2, "key value", lambda block: seen.keys(block, 0))
        rows = [seen.rows(block, keys, 0) for block, keys in blocks]
    finally:
        columns.BLOCK = before
    return np.concatenate(rows).tolist(), seen.names(path)


@settings(max_examples=50, deadline=None)
@given(names=st.lists(name, min_size=1, max_size=80), size=st.integers(1, 400))
def test_row_numbers_agree_with_a_dictionary(tmp_path_factory, names, size):
    path = tmp_path_factory.mktemp("columns") / "table"
    path.write_bytes(b"".join(b"%s x\n" % name for name in names))
    rows, known = numbered(path, size)
    assert [known[row].encode() for row in rows] == names
    assert sorted(set(rows)) == list(range(len(set(names))))


def test_tables_grow_with_many_new_identifiers(tmp_path):
    path = tmp_path / "table"
    names = [f"utterance-{'x' * (n % 40)}-{n}" for n in range(20_000)]
    path.write_text("".join(f"{name} 1\n{name} 2\n" for name in names))
    rows, known = numbered(path, 5_000)
    assert known == names
    assert rows == [row for row in range(20_000) for _ in range(2)]


def test_identifiers_in_full_slots_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "hash_words", lambda words: words[0] & np.uint64(1))  # two hashes for all
    path = tmp_path / "table"
    names = [f"n{n}" for n in range(300)]
    path.write_text("".join(f"{name} 1\n" for name in names * 2))
    assert numbered(path, 100) == (list(range(300)) * 2, names)


def test_a_hash_does_not_depend_on_the_longest_identifier_of_the_block():
    words = [np.array([5], np.uint64), np.array([9], np.uint64)]
    assert hash_words(words) == hash_words([*words, np.zeros(1, np.uint64)])
    assert hash_words(words) != hash_words(words[::-1])


def test_groups_are_in_the_order_of_their_first_members():
    first, inverse = group_equal(np.array([7, 3, 7, 1, 3]))
    assert first.tolist() == [0, 1, 3]
    assert inverse.tolist() == [0, 1, 0, 2, 1]


def test_names_of_any_length_are_joined_without_padding():
    names = as_bytes(["a", "a name with ü, of more than 16 bytes"])
    assert join_columns([names, names[::-1]]).decode() == (
        "a a name with ü, of more than 16 bytes\na name with ü, of more than 16 bytes a\n"
    )


def test_a_huge_field_is_refused_with_its_line(tmp_path):
    path = tmp_path / "table"
    path.write_bytes(b"a b\n" + b"x" * 5000 + b" b\n")
    with pytest.raises(InputError, match="line 2: field 1 has 5000 bytes"):
        numbered(path, 1 << 20)


def test_an_error_far_down_names_its_line(tmp_path):
    path = tmp_path / "table"
    path.write_text("a b\n" * 1000 + "a b c\n" + "a b\n" * 1000)
    with pytest.raises(InputError, match='line 1001: expected "key value", found 3 fields: "a b c"'):
        numbered(path, 64)
