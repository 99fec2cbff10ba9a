"""Numbers as text: the same results as `float` and "%.7g" for every number and every text."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from avsv.kaldi.columns import join_columns, read_blocks
from avsv.kaldi.decimals import format_decimals, read_decimals


def written(numbers):
    return join_columns([format_decimals(np.array(numbers))]).decode().split("\n")[:-1]


def read(tmp_path, texts):
    path = tmp_path / "table"
    path.write_text("".join(f"key {text}\n" for text in texts))
    return np.concatenate([made for _, made in read_blocks(path, 2, "key number", lambda b: read_decimals(b, 1))])


@settings(max_examples=300)
@given(st.lists(st.floats(), min_size=1, max_size=20))
@example([0.0, -0.0, 1e-4, 9.9999995e-5, 0.99999995, 9.9999995, 99998.99, 99999.5, 123456.7, 5e-324, 1e308])
def test_text_has_seven_significant_digits(numbers):
    assert written(numbers) == [f"{number:.7g}" for number in numbers]


def test_text_of_ordinary_scores():
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(50_000) * 10.0 ** rng.integers(-7, 8, 50_000)
    numbers[::2] = numbers[::2].astype(np.float32)
    assert written(numbers) == [f"{number:.7g}" for number in numbers]


decimal = st.from_regex(r"[-+]?[0-9]{0,10}\.?[0-9]{0,18}([eE][-+]?[0-9]{1,2})?", fullmatch=True).filter(bool)
junk = st.text("0123456789.-+eE_xnaif:/", min_size=1, max_size=24)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(decimal | junk, min_size=1, max_size=30))
@example(["1.", ".5", "-.5", "+1.5", "1_0", "--1", "1..2", "-", ".", "12345678", "123456789", "12345678.12345678"])
@example(["1e5", "nan", "-inf", "infinity", "1a", "1.2a", "a", "0x1", "1:2", "/1", "00000001.1", "0." + "1" * 40])
def test_numbers_agree_with_float(tmp_path_factory, texts):
    found = read(tmp_path_factory.mktemp("decimals"), texts)
    for text, number in zip(texts, found, strict=True):
        try:
            expected = float("nan" if "_" in text else text)  # 1_0 is a number in Python only
        except ValueError:
            expected = float("nan")
        assert number == expected or (np.isnan(number) and np.isnan(expected)), text
        assert np.isnan(expected) or np.signbit(number) == np.signbit(expected), text


def test_written_numbers_are_read_with_seven_digits(tmp_path):
    scores = np.random.default_rng(1).standard_normal(10_000)
    assert read(tmp_path, written(scores)) == pytest.approx(scores, rel=5e-7)
