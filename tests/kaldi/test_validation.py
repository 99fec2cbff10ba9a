"""check and fix work on whole tables as arrays: beside the same rules in plain loops, on tables with every defect."""

import numpy as np
import pytest

from avsv.kaldi import keyed
from avsv.kaldi.keyed import read_keyed, rows_of
from avsv.kaldi.validation import check, fix

LINES = [
    "a-1 a",
    "a-2  a",
    "a-3\ta",
    "b-1 b",
    "b-1 b2",
    "\u00e9-1 \u00e9",
    "c-1 c x",
    "lonely",
    "",
    " d-1 d ",
    "zz-long-name-of-more-than-16 zz",
]


def plain_loops(lines):
    """Good lines as a dict, the last of a key counting, and the numbers of bad, repeated and unsorted lines."""
    table, bad, twice, late, previous = {}, [], [], [], b""
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) != 2:
            bad.append(number)
            continue
        key = fields[0].encode()
        if fields[0] in table:
            twice.append(number)
        elif key < previous:
            late.append(number)
        table[fields[0]] = fields[1]
        previous = key
    return table, bad, twice, late


@pytest.fixture(params=range(12))
def lines(request):
    rng = np.random.default_rng(request.param)
    return [LINES[i] for i in rng.integers(len(LINES), size=rng.integers(1, 14))]


def test_check_tells_of_the_lines_that_plain_loops_find(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(keyed, "PIECE", 9)  # so that a table has many pieces
    (tmp_path / "utt2spk").write_text("\n".join(lines) + "\n")
    _, bad, twice, late = plain_loops(lines)
    told = [d.split("line ")[1] for d in check(tmp_path) if "utt2spk, line" in d]
    assert [int(t.split(":")[0]) for t in told if "expected" in t] == bad
    assert [int(t.split(":")[0]) for t in told if "twice" in t] == twice
    assert [int(t.split(":")[0]) for t in told if "order" in t] == late


def test_fix_keeps_what_plain_loops_keep(lines, tmp_path):
    table = plain_loops(lines)[0]
    keys = sorted(table, key=str.encode)
    with_sound = keys[::2]
    if not with_sound:
        pytest.skip("no good line was drawn")
    (tmp_path / "utt2spk").write_text("\n".join(lines))
    (tmp_path / "wav.scp").write_text("".join(f"{key} \t/x y/{key}.wav |\n" for key in with_sound[::-1]))
    assert fix(tmp_path) == (len(with_sound), len(table))
    assert (tmp_path / "utt2spk").read_text() == "".join(f"{key} {table[key]}\n" for key in with_sound)
    assert (tmp_path / "wav.scp").read_text() == "".join(f"{key} /x y/{key}.wav |\n" for key in with_sound)


def test_fix_leaves_a_table_alone_that_is_right(tmp_path):
    (tmp_path / "utt2spk").write_text("a-1 a\nb-1 b\n")
    (tmp_path / "wav.scp").write_text("a-1 1.wav\nb-1 2.wav\n")
    before = (tmp_path / "wav.scp").stat().st_mtime_ns
    fix(tmp_path)
    assert (tmp_path / "wav.scp").stat().st_mtime_ns == before and not (tmp_path / ".backup").exists()


def test_an_empty_table_and_a_last_line_without_an_end(tmp_path):
    (tmp_path / "t").write_text("")
    assert len(read_keyed(tmp_path / "t", True)) == 0
    (tmp_path / "t").write_text("a 1")
    table = read_keyed(tmp_path / "t", True)
    assert (table.keys.tolist(), table.text(0), table.complete) == ([b"a"], "1", False)


def test_keys_are_found_among_others_of_another_length():
    ranked = np.array([b"a", b"b-long-name", b"c"])
    assert rows_of(np.array([b"c", b"x", b"a"]), ranked).tolist() == [2, -1, 0]
    assert rows_of(np.array([b"a"]), np.zeros(0, "S1")).tolist() == [-1]
