"""Reading the file of published figures."""

import pytest

from avsv.errors import InputError
from avsv.evaluation.published import Published, read_published

HEAD = "list\tsystem\teer_percent\tmin_dcf\tp_target\tsource\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_are_read_in_any_order_of_columns(tmp_path):
    text = "# from papers\nsource\tsystem\tlist\teer_percent\nA. Writer, 2020\tECAPA big\tvox1-O\t0.98\n\n"
    expected = [Published("vox1-O", "ECAPA big", 0.98, None, None, "A. Writer, 2020")]
    assert read_published(write(tmp_path / "p", text)) == expected


def test_figures_that_are_not_reported_are_none(tmp_path):
    text = HEAD + "O\ta\t1.5\t-\t\tx\nO\ta\t-\t0.1\t0.01\ty\n"
    first, second = read_published(write(tmp_path / "p", text))
    assert (first.eer_percent, first.min_dcf, first.p_target) == (1.5, None, None)
    assert (second.eer_percent, second.min_dcf, second.p_target) == (None, 0.1, 0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "p: "),
        (HEAD, "p: "),
        ("list system eer_percent source\n", "p, line 1: "),
        ("list\tsystem\teer_percent\tsource\teer\n", "p, line 1: "),
        ("list\tsystem\teer_percent\tsource\tsource\n", "p, line 1: "),
        ("list\tsystem\teer_percent\tmin_dcf\tsource\n", "p, line 1: "),
        (HEAD + "O a 1.5 - - x\n", "p, line 2: .*found 1"),
        (HEAD + "O\ta\tgood\t\t\tx\n", 'p, line 2: .*eer_percent, found "good"'),
        (HEAD + "O\ta\t-1\t\t\tx\n", 'line 2: .*"-1"'),
        (HEAD + "O\ta\tnan\t\t\tx\n", 'line 2: .*"nan"'),
        (HEAD + "O\ta\t1\t7\t0.01\tx\n", "line 2: .*min_dcf"),
        (HEAD + "O\ta\t1\t0.7\t\tx\n", "line 2: .*p_target"),
        (HEAD + "O\ta\t\t\t\tx\n", "line 2: "),
        (HEAD + "O\ta\t1\t\t\t\n", "line 2: .*source"),
        (HEAD + "O\ta\t1\t\t\tx\n" * 2, "line 3: "),
    ],
)
def test_wrong_lines_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_published(write(tmp_path / "p", text))


def test_an_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="nowhere: "):
        read_published(tmp_path / "nowhere")
