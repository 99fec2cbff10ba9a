"""avsv evaluate-identification."""

import json

import pytest


@pytest.fixture
def lists(world):
    """The world's test speakers 0 to 4 with two recordings each as gallery, all other recordings as probes."""
    gallery, probes = [], []
    for speaker in range(8):
        names = [f"test{speaker:02d}-{clip}" for clip in range(5)]
        enrolled = names[:2] if speaker < 5 else []
        if enrolled:
            gallery.append(f"p{speaker} {' '.join(enrolled)}\n")
        probes += [f"{name} p{speaker}\n" for name in names if name not in enrolled]
    (world.folder / "gallery").write_text("".join(gallery))
    (world.folder / "probes").write_text("".join(probes))
    return ["evaluate-identification", "--gallery", world.folder / "gallery", "--probes", world.folder / "probes"]


def test_it_writes_rates_a_table_and_a_picture(avsv, world, lists):
    outs = [world.folder / name for name in ("out.json", "out.md", "out.png")]
    argv = [*lists, "--json", outs[0], "--markdown", outs[1], "--plot", outs[2], "--rank", "2", f"voice={world.test}"]
    status, output = avsv(*argv)
    assert status == 0, output
    row = json.loads(outs[0].read_text())["voice"]
    assert (row["n_gallery"], row["n_known"], row["n_strangers"], row["n_stranger_people"]) == (5, 15, 15, 3)
    assert list(row["rank_percent"]) == ["2"]
    assert f"{row['dir_percent']['0.1']:.1f}" in output
    assert outs[1].read_text().startswith("| system | rank 2 % |")
    assert outs[2].read_bytes().startswith(b"\x89PNG")


def test_systems_may_follow_the_rates(avsv, world, lists):
    assert avsv(*lists, "--far", "0.2", "0.4", f"voice={world.test}", "--json", world.folder / "j")[0] == 0
    assert list(json.loads((world.folder / "j").read_text())["voice"]["dir_percent"]) == ["0.2", "0.4"]


def test_a_missing_embedding_stops_or_counts(avsv, world, lists):
    world.leave_out("test00-3")
    status, output = avsv(*lists, f"voice={world.test}")
    assert status == 1
    assert "test00-3" in output
    assert "--missing" in output
    assert avsv(*lists, "--missing", "rest", f"voice={world.test}", "--json", world.folder / "j")[0] == 0
    assert json.loads((world.folder / "j").read_text())["voice"]["n_without_score"] == 1


@pytest.mark.parametrize("system", ["scores", "=x", "v=", "a+b=x"])
def test_a_system_without_a_name_is_a_usage_error(avsv, lists, system):
    assert avsv(*lists, system)[0] == 2


def test_one_name_for_two_systems_and_another_picture_format_are_usage_errors(avsv, world, lists):
    assert avsv(*lists, f"v={world.test}", f"v={world.test}")[0] == 2
    assert avsv(*lists, "--plot", "out.bmp", f"v={world.test}")[0] == 2
