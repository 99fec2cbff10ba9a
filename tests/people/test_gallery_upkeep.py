"""Removal leaves nothing, and export, import, check and rebuild keep what they should."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.people import gallery_upkeep
from avsv.people.gallery import Gallery, create_gallery
from avsv.people.gallery_enrolment import Sample
from avsv.people.gallery_setup import Encoder, make_setup
from tests.people.galleries import ENCODERS, MODELS, World, by_quality, logistic, make_gallery, parts_of


class Loaded:
    """An encoder in place of a network."""

    def __init__(self, model):
        self.model = model


@pytest.fixture
def encoders(monkeypatch, tmp_path):
    """Encoders that "embed" files as the person whose number they contain; change `models` to change them."""
    world, models = World(0, noise=0.1), dict(MODELS)
    calls = []

    def load(sources, *_):
        return {name: Loaded(models[name]) for name in sources}

    def embed(path, loaded, frames, track):
        calls.append(path)
        text = Path(path).read_text()
        if text == "useless":
            raise InputError(f"{path}: no voice and no face")
        clip = world.clip(int(text))
        clip.models.update({name: one.model for name, one in loaded.items()})
        return clip

    for module in ("gallery", "gallery_upkeep"):
        monkeypatch.setattr(f"avsv.people.{module}.load_encoders", load)
        monkeypatch.setattr(f"avsv.people.{module}.embed_file", embed)
    return world, models, calls


@pytest.fixture
def gallery(encoders, tmp_path):
    """Three people with two files each."""
    gallery = make_gallery(tmp_path)
    for person, name in enumerate(("Ann", 'Bo "B" O\'Neil / \u05d3\u05d5\u05d3', "Cy")):
        files = []
        for number in range(2):
            path = tmp_path / f"{person}-{number}.mp4"
            path.write_text(f"{person}{' ' * number}")
            files.append(path)
        gallery.enroll(name, files, consent=f"signed by {person}", force=True)
    return gallery


def names(gallery):
    return [one.name for one in gallery.people()]


def calibrated(tmp_path, models):
    fusion = logistic(models)
    parts_of(tmp_path, fusion)
    return tmp_path / "c.json"


def test_a_removed_person_is_in_no_byte_of_the_file_and_its_log(gallery, encoders):
    recordings = gallery.recordings("Ann")
    vectors = [one.clip.vectors for one in map(gallery.embed, [r.path for r in recordings])]
    with gallery.database.reading() as connection:
        blobs = [row[0] for row in connection.execute("SELECT vector FROM embeddings")]
        ids = [row[0] for row in connection.execute("SELECT recordings.id FROM recordings JOIN people ON person = "
                                                    "people.id WHERE name = 'Ann'")]  # fmt: skip
        marks = ",".join(map(str, ids))
        of_ann = [row[0] for row in connection.execute(f"SELECT vector FROM embeddings WHERE recording IN ({marks})")]
        packed = [row[0] for row in connection.execute("SELECT vectors FROM packed")]
    assert len(vectors) == 2 and len(of_ann) == 4 and len(blobs) == 12
    rows = [part[: 4 * size] for part, size in zip(packed, (48, 32))]  # Ann is the first row of each block
    secrets = [*of_ann, *rows, b"signed by 0", recordings[0].path.encode(), recordings[0].digest.encode(), b"Ann"]
    content = b"".join(path.read_bytes() for path in gallery.path.parent.glob("people.gallery*"))
    assert all(secret in content for secret in secrets)
    removal = gallery.remove("Ann")
    assert removal.n_embeddings == {"voice": 2, "face": 2} and len(removal.recordings) == 2 and removal.emptied
    content = b"".join(path.read_bytes() for path in gallery.path.parent.glob("people.gallery*"))
    assert not [secret for secret in secrets if secret in content]
    assert "Ann" not in names(gallery)


def test_the_place_of_a_removed_person_is_used_again(gallery, encoders):
    world = encoders[0]
    gallery.remove("Ann")
    gallery.enroll("Di", [world.sample(7)])
    gallery.enroll("Ed", [world.sample(8)])
    with gallery.database.reading() as connection:
        assert sorted(connection.execute("SELECT id, name FROM people").fetchall())[0] == (0, "Di")
        assert [row[0] for row in connection.execute("SELECT id FROM people ORDER BY id")] == [0, 1, 2, 3]
    assert gallery.identify([world.clip(7)])[0].name == "Di" and gallery.check().is_current


def test_export_and_import_bring_everything(gallery, encoders, tmp_path):
    assert gallery.export(tmp_path / "all.npz") == 6
    result = Gallery.import_file(tmp_path / "copy.gallery", tmp_path / "all.npz")
    assert (result.n_people, result.n_recordings, result.made) == (3, 6, True)
    copy = Gallery(tmp_path / "copy.gallery")
    assert copy.people() == gallery.people()
    assert all(copy.recordings(name) == gallery.recordings(name) for name in names(gallery))
    probe = encoders[0].clip(1)
    assert copy.identify([probe]) == gallery.identify([probe]) and copy.check().is_current
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["voice"].shape == (6, 48) and arrays["face"].dtype == np.float32


def test_names_and_recordings_that_are_there_stop_an_import(gallery, encoders, tmp_path):
    gallery.export(tmp_path / "all.npz")
    with pytest.raises(InputError, match="Ann"):
        Gallery.import_file(gallery.path, tmp_path / "all.npz")
    for number, name in enumerate(names(gallery)):
        gallery.rename(name, f"renamed {number}")
    with pytest.raises(InputError, match="renamed 0"):
        Gallery.import_file(gallery.path, tmp_path / "all.npz")
    assert len(names(gallery)) == 3


def test_an_import_of_other_encoders_is_refused(gallery, tmp_path):
    gallery.export(tmp_path / "all.npz")
    models = {**MODELS, "voice": "voice:9"}
    other = {name: Encoder("x", model) for name, model in models.items()}
    gallery_of_others = tmp_path / "others.gallery"
    create_gallery(gallery_of_others, make_setup(other, parts_of(tmp_path, logistic(models))))
    with pytest.raises(InputError, match="voice:9"):
        Gallery.import_file(gallery_of_others, tmp_path / "all.npz")


def rewrite(path, name, change):
    """Change one member of an exported file."""
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    members[name] = change(members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for one, content in members.items():
            archive.writestr(one, content)


def changed_line(**changes):
    def change(content):
        lines = content.splitlines()
        return b"\n".join([json.dumps(json.loads(lines[0]) | changes).encode(), *lines[1:]]) + b"\n"

    return change


def evil_parts(content):
    head = json.loads(content)
    head["parts"]["adaptation-0"] = {"../../evil": "QQ=="}
    return json.dumps(head).encode()


@pytest.mark.parametrize(
    "name, change",
    [
        ("gallery.json", lambda content: content.replace(b"avsv gallery", b"avsv palette")),
        ("gallery.json", lambda content: content.replace(b'"version": 1', b'"version": 2')),
        ("gallery.json", evil_parts),
        ("gallery.json", lambda content: b"[" * 100_000),
        ("recordings.jsonl", lambda content: content[:-300]),
        ("recordings.jsonl", lambda content: content + content.splitlines()[0] + b"\n"),
        ("recordings.jsonl", lambda content: b"".join(content.splitlines(keepends=True)[:-1])),
        ("recordings.jsonl", changed_line(person="a\x1b[2J")),
        ("recordings.jsonl", changed_line(person="")),
        ("recordings.jsonl", changed_line(quality={"voice": {}})),
        ("recordings.jsonl", changed_line(quality={"voice": {"utt2snr": "loud"}, "face": {}})),
        ("recordings.jsonl", changed_line(more=1)),
        ("voice.npy", lambda content: content[:-4]),
        ("voice.npy", lambda content: content.replace(b"<f4", b"|O8")),
        ("voice.npy", lambda content: content[:-8] + b"\xff" * 8),
        ("face.npy", lambda content: b""),
    ],
)
def test_a_damaged_export_is_refused_as_a_whole(gallery, tmp_path, name, change):
    gallery.export(tmp_path / "all.npz")
    rewrite(tmp_path / "all.npz", name, change)
    target = tmp_path / "new" / "copy.gallery"
    target.parent.mkdir()
    with pytest.raises(InputError, match=r"all\.npz"):
        Gallery.import_file(target, tmp_path / "all.npz")
    assert not target.exists() or target.stat().st_size == 0
    assert not (tmp_path / "evil").exists()


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "x.npz").write_text("nothing")
    with pytest.raises(InputError, match=r"x\.npz"):
        Gallery.import_file(tmp_path / "g", tmp_path / "x.npz")


def test_check_names_media_that_are_gone_or_changed(gallery, tmp_path):
    assert gallery.check().is_current and not gallery.check().media
    (tmp_path / "0-0.mp4").unlink()
    (tmp_path / "2-1.mp4").write_text("2 ")
    (tmp_path / "2-1.mp4").write_text("7")
    found = gallery.check()
    assert found.is_current
    assert found.media == [("Ann", str(tmp_path / "0-0.mp4"), "gone"), ("Cy", str(tmp_path / "2-1.mp4"), "changed")]


def test_check_and_identify_notice_another_encoder(gallery, encoders, tmp_path):
    encoders[1]["voice"] = "voice:9"
    found = gallery.check()
    assert not found.is_current and "voice:9" in found.encoders["voice"] and found.encoders["face"] is None
    with pytest.raises(InputError, match="voice:9"):
        Gallery(gallery.path).embed(tmp_path / "0-0.mp4")


def test_check_notices_packed_embeddings_that_do_not_match(gallery):
    with gallery.database.writing() as connection:
        blob = bytearray(connection.execute("SELECT vectors FROM packed WHERE id = 1").fetchone()[0])
        blob[103] ^= 0x40  # the exponent of a value of the first person
        connection.execute("UPDATE packed SET vectors = ? WHERE id = 1", (bytes(blob),))
    assert not gallery.check().is_current
    gallery.rebuild()
    assert gallery.check().is_current
    with gallery.database.writing() as connection:
        connection.execute("DELETE FROM packed WHERE id = 0")
    assert not gallery.check().is_current


def test_rebuild_by_another_encoder_needs_its_calibration(gallery, encoders):
    encoders[1]["voice"] = "voice:9"
    with pytest.raises(InputError, match="voice:9"):
        gallery.rebuild()
    with pytest.raises(OptionError):
        gallery.rebuild(adaptations=["x"])


def test_rebuild_embeds_everybody_again(gallery, encoders, tmp_path):
    world, models, calls = encoders
    before, old = gallery.people(), gallery.identify([world.clip(1)])[0]
    models["voice"] = "voice:9"
    calls.clear()
    result = gallery.rebuild(calibration=calibrated(tmp_path, models))
    assert result.n_embedded == len(calls) == 6 and not result.dropped
    assert gallery.people() == before and gallery.check().is_current
    with pytest.raises(InputError, match="voice:1"):
        gallery.identify([world.clip(1)])
    probe = gallery.embed(tmp_path / "1-0.mp4")
    assert gallery.identify([probe])[0].name == old.name


def test_rebuild_with_another_calibration_embeds_nothing(gallery, encoders, tmp_path):
    encoders[2].clear()
    parts_of(tmp_path, by_quality())
    result = gallery.rebuild(calibration=tmp_path / "c.json")
    assert result.n_embedded == 0 and encoders[2] == [] and gallery.check().is_current
    probe = encoders[0].clip(2)
    assert gallery.identify([probe])[0].name == "Cy"
    assert type(gallery.known.fusion) is type(by_quality())


def test_media_that_are_gone_stop_a_rebuild_or_are_dropped(gallery, encoders, tmp_path):
    models = encoders[1]
    models["voice"] = "voice:9"
    for name in ("0-0.mp4", "0-1.mp4"):
        (tmp_path / name).unlink()
    digest = gallery.recordings("Cy")[0].digest
    new = calibrated(tmp_path, models)
    with pytest.raises(InputError, match="Ann"):
        gallery.rebuild(calibration=new)
    assert gallery.identify([World(0).clip(0)])[0].n_people == 3
    result = gallery.rebuild(calibration=new, missing="drop")
    assert [(name, path) for name, path, _ in result.dropped] == [
        ("Ann", str(tmp_path / "0-0.mp4")), ("Ann", str(tmp_path / "0-1.mp4"))]  # fmt: skip
    assert result.removed == ["Ann"] and "Ann" not in names(gallery) and gallery.check().is_current
    assert gallery.recordings("Cy")[0].digest == digest
    with pytest.raises(OptionError):
        gallery.rebuild(missing="keep")


def test_an_interrupted_rebuild_goes_on_where_it_ended(gallery, encoders, tmp_path, monkeypatch):
    models, calls = encoders[1:]
    models["face"] = "face:9"
    new, embed = calibrated(tmp_path, models), gallery_upkeep.embed_file

    def interrupted(path, *rest):
        if path.endswith("1-1.mp4"):
            raise KeyboardInterrupt
        return embed(path, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(gallery_upkeep, "embed_file", interrupted)
        gallery.rebuild(calibration=new)
    calls.clear()
    with gallery.database.reading() as connection:
        assert connection.execute("SELECT model FROM encoders WHERE modality = 'face'").fetchone()[0] == "face:2"
    result = gallery.rebuild(calibration=new)
    assert result.n_resumed == 3 and result.n_embedded == 6 and len(calls) == 3 and gallery.check().is_current


def test_a_gallery_used_by_another_object_follows_a_rebuild(gallery, encoders, tmp_path):
    other = Gallery(gallery.path)
    encoders[1]["voice"] = "voice:9"
    gallery.rebuild(calibration=calibrated(tmp_path, encoders[1]))
    assert other.identify([other.embed(tmp_path / "2-0.mp4")])[0].name == "Cy"


def test_people_enrolled_while_a_rebuild_runs_are_embedded_too(gallery, encoders, tmp_path, monkeypatch):
    models = encoders[1]
    late = tmp_path / "late.mp4"
    late.write_text("9")
    sample = gallery.embed(late)
    models["voice"] = "voice:9"
    new, embed, once = calibrated(tmp_path, models), gallery_upkeep.embed_file, []

    def enrolling(path, *rest):
        if not once:
            once.append(Gallery(gallery.path).enroll("Late", [Sample(str(late), sample.digest, sample.clip)]))
        return embed(path, *rest)

    monkeypatch.setattr(gallery_upkeep, "embed_file", enrolling)
    assert gallery.rebuild(calibration=new).n_embedded == 7
    assert "Late" in names(gallery) and gallery.check().is_current


def test_only_known_models_can_make_a_setup(tmp_path):
    with pytest.raises(OptionError):
        make_setup({}, parts_of(tmp_path, logistic()))
    with pytest.raises(InputError):
        make_setup(ENCODERS, {"calibration": {"calibration.json": b"{}"}})
