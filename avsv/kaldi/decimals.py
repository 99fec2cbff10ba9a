"""Reads and writes millions of decimal numbers by array arithmetic, with the results of `float` and `"%.7g"`."""

import numpy as np

from avsv.kaldi.columns import Block

ZEROS, DOTS, NINES = (np.uint64(int.from_bytes(char * 8, "little")) for char in (b"0", b".", b"F"))
ONES, HIGH = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
EIGHT = np.uint64(8)
POWERS = 10.0 ** np.arange(23)  # exact in float64
SIGNIFICANT = 7  # digits that are written: what a float32 holds
SMALLEST = -4  # decade below which "%.7g" takes an exponent
# the integers below 100,000: with leading zeros, without trailing ones, without leading ones
ALL_FIVE = (np.arange(100_000)[:, None] // 10 ** np.arange(4, -1, -1) % 10 + ord("0")).astype("u1").view("S5")[:, 0]
NO_ZEROS = np.strings.rstrip(ALL_FIVE, b"0")
WHOLE = np.strings.lstrip(ALL_FIVE, b"0")
WHOLE[0] = b"0"
TEXT = np.dtype([("sign", "S1"), ("whole", "S5"), ("point", "S1"), ("high", "S5"), ("low", "S5")])


def read_decimals(block: Block, field: int) -> np.ndarray:
    """The numbers in a field, (lines,) float64; NaN where the text is not a number.

    Plain decimals, `-0.1234567`, of at most 7 digits before the point and 8 after it are read by arithmetic: as
    integer / 10^n, both exact in float64, which rounds the quotient as `float` does. Everything else goes through
    `number_of`.
    """
    start, length = block.starts[:, field], block.lengths(field)
    sign = np.frombuffer(block.data, np.uint8)[start] == ord("-")
    start, length = start + sign, length - sign
    first = block.eight_bytes(start)
    dot = place_of_dot(first)
    n_whole = np.minimum(dot, length)
    n_fraction = np.maximum(length - n_whole - 1, 0)
    whole, good = eight_digits(first, n_whole)
    fraction, good_fraction = eight_digits(block.eight_bytes(start + n_whole + 1), np.minimum(n_fraction, 8))
    good &= good_fraction & (n_whole > 0) & (n_fraction <= 8)
    good &= (dot < 8) | (length <= 8)  # otherwise the supposed point is not one
    power = POWERS[np.minimum(n_fraction, 8)]
    numbers = (whole.astype(np.float64) * power + fraction.astype(np.float64)) / power
    np.negative(numbers, out=numbers, where=sign)
    if len(others := np.flatnonzero(~good)):
        numbers[others] = [number_or_nan(value) for value in block.values(field, others)]
    return numbers


def number_of(text: str | bytes) -> float:
    """`float`, limited to text that other programs also read as a number: ASCII digits, and no 1_0 (10 to Python).

    Raises
    ------
    ValueError : the text is not such a number

    Examples
    --------
    >>> number_of("1e-3"), number_or_nan(b"1_0")
    (0.001, nan)
    """
    if not text.isascii() or ("_" if isinstance(text, str) else b"_") in text:
        raise ValueError(f"no number: {text!r}")
    return float(text)


def is_number(value: str | bytes) -> bool:
    """Whether `number_of` accepts a value."""
    try:
        number_of(value)
    except ValueError:
        return False
    return True


def number_or_nan(text: str | bytes) -> float:
    try:
        return number_of(text)
    except ValueError:
        return float("nan")


def place_of_dot(words: np.ndarray) -> np.ndarray:
    """Number of the eight characters before the first point; 8 if there is none."""
    others = words ^ DOTS
    marks = (others - ONES) & ~others & HIGH  # its lowest bit is that of the first zero byte
    return (np.bitwise_count((marks & -marks) - np.uint64(1)) >> 3).astype(np.int64)


def eight_digits(words: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The integer that the first n characters of a word spell (n <= 8), and whether they are all digits.

    Characters are moved to the word's end and joined in pairs, then fours, then all eight.
    """
    shift = ((8 - n) * 8).astype(np.uint64)
    moved = (words << shift) | (ZEROS >> (np.uint64(64) - shift))  # numpy's shift by 64 bits gives 0
    good = ((moved + NINES) | (moved - ZEROS)) & HIGH == 0
    digits = moved - ZEROS
    digits = digits * np.uint64(10) + (digits >> EIGHT)
    low, high = np.uint64(0x000000FF000000FF), np.uint64(16)
    ten_thousands = (digits & low) * np.uint64(100 + (1_000_000 << 32))
    ones = ((digits >> high) & low) * np.uint64(1 + (10_000 << 32))
    return (ten_thousands + ones) >> np.uint64(32), good


def format_decimals(numbers: np.ndarray) -> np.ndarray:
    """Numbers as text of seven significant digits, as `"%.7g"` gives: (n,) bytes, with zeros inside and at the end.

    Examples
    --------
    >>> from avsv.kaldi.columns import join_columns
    >>> join_columns([format_decimals(np.array([-0.5, 1e-9, 12.0, np.inf]))])
    b'-0.5\\n1e-09\\n12\\ninf\\n'
    """
    numbers = np.asarray(numbers, np.float64)
    size = np.abs(numbers)
    with np.errstate(invalid="ignore"):  # NaN
        plain = (size >= 10.0**SMALLEST) & (size < 99_999)
    size = np.where(plain, size, 1)
    decade = np.searchsorted(10.0 ** np.arange(SMALLEST + 1, 6), size, side="right") + SMALLEST
    scaled = size * POWERS[SIGNIFICANT - 1 - decade]
    digits = np.rint(scaled)
    plain &= np.abs(np.abs(scaled - digits) - 0.5) > 1e-6  # not so near the middle that rounding could go wrong
    fixed = digits.astype(np.int64) * (10 ** np.arange(11))[decade - SMALLEST]  # with ten decimals
    whole, fraction = np.divmod(fixed, 10**10)
    high, low = np.divmod(fraction, 100_000)
    text = np.empty(len(numbers), TEXT)
    text["sign"] = np.where(numbers < 0, b"-", b"")
    text["whole"] = WHOLE[whole]
    text["point"] = np.where(fraction > 0, b".", b"")
    text["high"] = np.where(low > 0, ALL_FIVE[high], NO_ZEROS[high])
    text["low"] = NO_ZEROS[low]
    text = text.view(f"S{TEXT.itemsize}")
    if len(others := np.flatnonzero(~plain)):
        text[others] = [f"{number:.7g}".encode() for number in numbers[others].tolist()]
    return text
