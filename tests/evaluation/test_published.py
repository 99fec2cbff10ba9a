"""The file of published figures."""

import pytest

from avsv.errors import InputError
from avsv.evaluation.published import Published, read_published

HEAD = "list\tsystem\teer_percent\tmin_dcf\tp_target\tsource\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_are_read_in_any_order_of_columns(tmp_path):
    text = "# what papers say\nsource\tsystem\tlist\teer_percent\nA. Writer, 2020\tECAPA big\tvox1-O\t0.98\n\n"
    expected = [Published("vox1-O", "ECAPA big", 0.98, None, None, "A. Writer, 2020")]
    assert read_published(write(tmp_path / "p", text)) == expected


def test_what_is_not_told_is_none(tmp_path):
    text = HEAD + "O\ta\t1.5\t-\t\tx\nO\ta\t-\t0.1\t0.01\ty\n"
    first, second = read_published(write(tmp_path / "p", text))
    assert (first.eer_percent, first.min_dcf, first.p_target) == (1.5, None, None)
    assert (second.eer_percent, second.min_dcf, second.p_target) == (None, 0.1, 0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p: there are no figures in it"),
        (HEAD, "p: there are no figures in it"),
        ("list system eer_percent source\n", "p, line 1: expected the names of the columns with tabs"),
        ("list\tsystem\teer_percent\tsource\teer\n", "p, line 1: expected the names"),
        ("list\tsystem\teer_percent\tsource\tsource\n", "p, line 1: expected the names"),
        ("list\tsystem\teer_percent\tmin_dcf\tsource\n", "p, line 1: expected the names"),
        (HEAD + "O a 1.5 - - x\n", 'p, line 2: expected 6 fields with tabs between .*, found 1: "O a'),
        (HEAD + "O\ta\tgood\t\t\tx\n", 'p, line 2: expected a number from 0 to 100 as eer_percent, found "good"'),
        (HEAD + "O\ta\t-1\t\t\tx\n", 'found "-1"'),
        (HEAD + "O\ta\tnan\t\t\tx\n", 'found "nan"'),
        (HEAD + "O\ta\t1\t7\t0.01\tx\n", "expected a number from 0 to 1 as min_dcf"),
        (HEAD + "O\ta\t1\t0.7\t\tx\n", "line 2: min_dcf needs p_target"),
        (HEAD + "O\ta\t\t\t\tx\n", "line 2: has neither an EER nor a minDCF"),
        (HEAD + "O\ta\t1\t\t\t\n", "line 2: the source is missing"),
        (HEAD + "O\ta\t1\t\t\tx\n" * 2, "line 3: the same stands in the file before"),
    ],
)
def test_wrong_lines_are_told(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_published(write(tmp_path / "p", text))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_published(tmp_path / "nowhere")
