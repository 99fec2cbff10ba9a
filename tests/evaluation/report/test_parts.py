"""Elements, figures and the lists of skipped clips."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.evaluation.report.about import configuration_section, find_skipped, skipped_section
from avsv.evaluation.report.html import Markup, joined, tag
from avsv.evaluation.report.svg import Frame, points, standalone


def test_text_and_attributes_are_escaped_and_markup_is_not():
    assert tag("p", "<b>", Markup("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'


def test_nested_lists_are_joined_and_none_is_left_out():
    assert joined([["a", [None, 1]], "<"]) == "a1&lt;"


def test_a_frame_maps_its_ends_to_its_edges():
    frame = Frame((1, 3), (0, 10), 100, 50, (10, 20, 5, 15))
    assert frame.xs([1, 3]).tolist() == [10, 80]
    assert frame.ys([0, 10]).tolist() == [35, 5]


def test_repeated_points_are_drawn_once():
    assert points(np.array([1.0, 1.01, 2.0]), np.array([0.0, 0.0, 0.5])) == "1 0L2 0.5"


def test_a_standalone_figure_is_xml_without_references():
    picture = Frame((0, 1), (0, 1)).svg("<label>", tag("line", x1=0))
    root = ElementTree.fromstring(standalone(picture, "t & u", [(0, "<voice>")], ".line { fill: none }"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "<voice>" in "".join(root.itertext())


def test_reasons_are_counted_without_paths_and_numbers(tmp_path):
    folder = tmp_path / "voice" / "test"
    folder.mkdir(parents=True)
    (folder / "skipped").write_text("a /x/a.wav: lasts 0.03 s\nb /x/b.wav: lasts 0.04 s\nc /x/c.wav: is silent\n")
    (tmp_path / "voice" / "scores").mkdir()
    (tmp_path / "voice" / "scores" / "t.cosine.missing").write_text("d\n")
    skipped = find_skipped(tmp_path)
    assert {reason: len(names) for reason, names in skipped[0].reasons.items()} == {"lasts … s": 2, "is silent": 1}
    assert skipped[1].total == 1
    text = skipped_section(skipped, tmp_path)
    assert "a /x/a.wav: lasts 0.03 s\nb /x/b.wav: lasts 0.04 s" in text


def test_a_long_list_is_cut_and_counted(tmp_path):
    folder = tmp_path / "voice" / "test"
    folder.mkdir(parents=True)
    (folder / "skipped").write_text("".join(f"u{number:03d} is silent\n" for number in range(205)))
    assert "… and 5 more" in skipped_section(find_skipped(tmp_path), tmp_path)


def test_the_page_states_that_nothing_was_skipped(tmp_path):
    assert "Nothing was skipped" in skipped_section(find_skipped(tmp_path), tmp_path)


def test_the_configuration_shows_command_versions_and_the_last_epoch(tmp_path):
    folder = tmp_path / "avn_e"
    folder.mkdir()
    (folder / "config.yaml").write_text("task: avn_e\n")
    (folder / "run.json").write_text('{"command": "avsv train <x>", "versions": {"torch": "2.13.0"}}')
    (folder / "history.jsonl").write_text('{"epoch": 1, "loss": 2}\n{"epoch": 2, "loss": 1.5}\n')
    text = joined(configuration_section(tmp_path, [("Trials", "t")]))
    assert "task: avn_e" in text
    assert "avsv train &lt;x&gt;" in text
    assert "torch 2.13.0" in text
    assert "epoch 2: loss 1.5" in text
    (folder / "run.json").write_text("[]")
    with pytest.raises(InputError, match=r"run\.json: expected a JSON object"):
        configuration_section(tmp_path, [])
