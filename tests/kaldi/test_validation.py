"""check and fix, which work on tables as arrays, agree with plain loops on tables with every defect."""

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


def test_check_finds_the_lines_that_plain_loops_find(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(keyed, "PIECE", 9)  # so that a table has many pieces
    (tmp_path / "utt2spk").write_text("\n".join(lines) + "\n")
    _, bad, twice, late = plain_loops(lines)
    told = [d.split("line ")[1] for d in check(tmp_path) if "utt2spk, line" in d]
    assert [int(t.split(":")[0]) for t in told if "expected" in t] == bad
    assert [int(t.split(":")[0]) for t in told if "twice" in t] == twice
    assert [int(t.split(":")[0]) for t in told if "order" in t] == late


def test_fix_keeps_what_plain_loops_keep(lines, tmp_path):
    table, bad, *_ = plain_loops(lines)
    n_bad = sum(bool(lines[number - 1].split()) for number in bad)
    keys = sorted(table, key=str.encode)
    with_sound = keys[::2]
    if not with_sound:
        pytest.skip("no good line was drawn")
    (tmp_path / "utt2spk").write_text("\n".join(lines))
    (tmp_path / "wav.scp").write_text("".join(f"{key} \t/x y/{key}.wav |\n" for key in with_sound[::-1]))
    assert fix(tmp_path) == (len(with_sound), len(table) + n_bad)
    assert (tmp_path / "utt2spk").read_text() == "".join(f"{key} {table[key]}\n" for key in with_sound)
    assert (tmp_path / "wav.scp").read_text() == "".join(f"{key} /x y/{key}.wav |\n" for key in with_sound)


def test_fix_leaves_a_valid_table_unchanged(tmp_path):
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


def test_dropped_lines_are_counted_and_listed_with_their_numbers(tmp_path, caplog):
    files = {
        "utt2spk": "a-1 a\nb c-1 b c\nd-1 d\ne-1 e\ne-2 e\n",
        "wav.scp": "a-1 /my clips/1.wav\nb c-1 /my clips/2.wav\ne-1 3.wav\ne-2 4.wav\nz-1 5.wav\n",
        "utt2dur": "a-1 2\ne-1 -3\n",
        "spk2gender": "a f\ne m\nq m\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert fix(tmp_path) == (2, 5)
    listed = (tmp_path / ".backup" / "dropped").read_text().splitlines()
    lost = [("spk2gender", 3), ("utt2spk", 2), ("utt2spk", 3), ("utt2spk", 4), ("wav.scp", 2), ("wav.scp", 5)]
    assert [line.split(": ")[0] for line in listed] == [f"{file}, line {number}" for file, number in lost]
    for (file, number), line in zip(lost, listed, strict=True):
        assert line.endswith(files[file].splitlines()[number - 1])
        assert any(message.startswith(f"{file}: dropped") for message in caplog.messages)
    assert (tmp_path / "wav.scp").read_text() == "a-1 /my clips/1.wav\ne-2 4.wav\n"
    assert {name: (tmp_path / ".backup" / name).read_text() for name in files} == files
    fix(tmp_path)  # changes nothing, and keeps the copies
    assert (tmp_path / ".backup" / "utt2spk").read_text() == files["utt2spk"]


def test_a_byte_order_mark_costs_no_utterance(tmp_path):
    mark = b"\xef\xbb\xbf"
    (tmp_path / "utt2spk").write_bytes(mark + b"a-1 a\nb-1 b\n")
    (tmp_path / "wav.scp").write_bytes(mark + b"a-1 1.wav\nb-1 2.wav\n")
    assert any("wav.scp" in defect and "byte order mark" in defect for defect in check(tmp_path))
    assert fix(tmp_path) == (2, 2)
    assert [(tmp_path / name).read_bytes()[:3] for name in ("utt2spk", "wav.scp", "spk2utt")] == [b"a-1"] * 2 + [b"a a"]
    assert check(tmp_path) == []


SEGMENTS = {
    "wav.scp": "rec1 /my clips/1.wav\nrec2 2.wav\nrec3 3.wav\n",
    "segments": "a-1 rec1 0 1\na-2 rec2 0 1\nb-1 rec1 1 2.5\nb-2 rec1 2 -1\n",
    "utt2spk": "a-1 a\na-2 a\nb-1 b\nb-2 b\n",
    "spk2utt": "a a-1 a-2\nb b-1 b-2\n",
}


@pytest.mark.parametrize(
    ("name", "text", "defect"),
    [
        ("segments", "a-1 rec1 0 1\na-2 rec9 0 1\nb-1 rec1 1 2\nb-2 rec1 2 3\n", "segments, line 2"),
        ("segments", "a-1 rec1 0 1\na-2 rec2 0\nb-1 rec1 1 2\nb-2 rec1 2 3\n", "segments, line 2"),
        ("segments", "a-1 rec1 0 1\na-2 rec2 0 1\nb-1 rec1 2 1\nb-2 rec1 2 3\n", "segments, line 3"),
        ("segments", "a-1 rec1 0 1\na-2 rec2 0 1\nb-1 rec1 1 1.05\nb-2 rec1 2 3\n", "segments, line 3"),
        ("segments", "a-1 rec1 0 1\na-2 rec2 0 1\nb-2 rec1 2 3\nb-1 rec1 1 2\n", "segments, line 4"),
        ("segments", "a-1 rec1 0 1\na-2 rec2 0 1\nb-1 rec1 1 2\n", '"b-2"'),
        ("wav.scp", "rec1 1.wav\nrec2 2.wav\nrec4 4.wav\n", '"rec4"'),
        ("video.scp", "a-1 /my clips/1.wav\n", "video.scp"),
    ],
)
def test_check_knows_segments(tmp_path, name, text, defect):
    for file, good in {**SEGMENTS, "wav.scp": "rec1 /my clips/1.wav\nrec2 2.wav\n"}.items():
        (tmp_path / file).write_text(good)
    assert check(tmp_path) == []
    (tmp_path / name).write_text(text)
    assert any(defect in line for line in check(tmp_path)), check(tmp_path)


def test_fix_drops_bad_segments_and_recordings_without_any(tmp_path):
    for file, text in {**SEGMENTS, "segments": SEGMENTS["segments"].replace("rec2 0 1", "rec2 1 0")}.items():
        (tmp_path / file).write_text(text)
    assert fix(tmp_path) == (3, 4)
    assert check(tmp_path) == []
    assert (tmp_path / "wav.scp").read_text() == "rec1 /my clips/1.wav\n"
    assert (tmp_path / "segments").read_text() == "a-1 rec1 0 1\nb-1 rec1 1 2.5\nb-2 rec1 2 -1\n"
    listed = (tmp_path / ".backup" / "dropped").read_text()
    assert all(
        place in listed for place in ("segments, line 2", "utt2spk, line 2", "wav.scp, line 2", "wav.scp, line 3")
    )


@pytest.mark.parametrize("text", ["inf", "1_0", "nan", "0", "-1"])
def test_a_length_that_is_not_a_number_of_seconds_is_a_defect(tmp_path, text):
    (tmp_path / "utt2spk").write_text("a-1 a\n")
    (tmp_path / "spk2utt").write_text("a a-1\n")
    (tmp_path / "wav.scp").write_text("a-1 a.wav\n")
    (tmp_path / "utt2dur").write_text(f"a-1 {text}\n")
    assert len(check(tmp_path)) == 1
