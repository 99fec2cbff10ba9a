"""Every parser returns a value or raises InputError for random bytes, modified valid files and tables of odd words.

tests/fuzz/parsers.py lists the parsers; tests/fuzz/coverage_guided.py is a longer search guided by coverage.
"""

import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avsv.errors import InputError
from tests.fuzz.parsers import PARSERS, seeds

MOST_MIB = 1024  # growth of the peak memory allowed for any parser, whatever sizes a file declares
WORDS = [b"a", b"b/c", b"target", b"nontarget", b"1", b"0", b"1e999", b"nan", b"-inf", b"9" * 5000, b"\xff", b"|", b"*",
         b"x.ark:2", b"x.ark:99999999999999999999", b"x.ark:" + b"9" * 5000, b'"', b"{", b"[" * 20000, b"\0", b"\x0c",
         b"- &a *a", b"${a}", "\x85\u2028".encode(), b":", b""]  # fmt: skip
# numbers of examples for parsers that write many files for each
FEW = {"data directory": 10, "archive": 30, "proof of a shard": 20, "entry of an scp": 40, "mouths": 30}
SEPARATORS = [b" ", b"\t", b"\n", b"\r\n", b"  ", b"\n\n", b",", b": "]
NUMBERS = [b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0", b"\0B", b"FM ", b"CM ", b"\x04"]


@st.composite
def changed(draw, good):
    """A valid file, truncated, rotated or with other bytes inserted, up to four times."""
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        other = draw(st.one_of(st.binary(max_size=8), st.sampled_from(NUMBERS), st.sampled_from(WORDS)))
        data = draw(st.sampled_from([data[:place], data[:place] + other + data[place:], data[place:] + data[:place],
                                     data[:place] + other + data[place + len(other) :]]))  # fmt: skip
    return data


TABLES = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SEPARATORS))).map(
    lambda parts: b"".join(word + separator for word, separator in parts)
)
GOOD = seeds()


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_give_a_value_or_an_input_error(name, folder):
    @settings(max_examples=FEW.get(name, 60), deadline=5000, derandomize=True, database=None,
              suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip
    @given(st.one_of(changed(GOOD[name]), TABLES, st.binary(max_size=200)))
    def try_it(data):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            PARSERS[name](folder, data)
        except InputError as error:
            assert str(error)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MIB * 1024

    try_it()


@pytest.mark.parametrize("name", sorted(set(PARSERS) - {"data directory", "archive", "proof of a shard", "faces"}))
def test_a_seed_of_every_parser_is_read(name, folder):
    values = []
    for data in GOOD[name]:
        try:
            values.append(PARSERS[name](folder, data))
        except InputError:
            continue
    assert values
