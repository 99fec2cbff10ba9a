"""A gallery survives kills, other writers, full and read-only disks, damage, and other versions of its format."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from avsv.errors import InputError
from avsv.people import gallery_database
from avsv.people.gallery import Gallery, create_gallery
from avsv.people.gallery_database import Database, as_avsv_error
from avsv.people.gallery_setup import make_setup
from tests.people.galleries import ENCODERS, World, logistic, make_gallery, parts_of

# Enrols one person after another until it is killed, and says whom it has enrolled.
ENROL_FOR_EVER = """
import sys
from avsv.people.gallery import Gallery
from tests.people.galleries import World
world, gallery = World(int(sys.argv[2]), n_people=10_000), Gallery(sys.argv[1])
for person in range(10_000):
    sample = world.sample(person)
    gallery.enroll(f"{sys.argv[2]}-{person}", [type(sample)(sample.path, f"{sys.argv[2]}-{person}", sample.clip)],
                   force=True)
    print(person, flush=True)
"""


@pytest.fixture(autouse=True)
def no_encoders(monkeypatch):
    """The check of a gallery here is that of its file only."""

    def load(*_):
        raise InputError("no encoders here")

    monkeypatch.setattr("avsv.people.gallery_upkeep.load_encoders", load)


def enrolling(path, seed):
    command = [sys.executable, "-c", ENROL_FOR_EVER, str(path), str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_kill_during_enrolment_loses_nobody(tmp_path):
    gallery = make_gallery(tmp_path)
    known = []
    for seed, n_before in ((1, 3), (2, 7)):
        process = enrolling(gallery.path, seed)
        lines = [process.stdout.readline() for _ in range(n_before)]
        time.sleep(0.013 * seed)  # in the middle of something
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
        process.wait()
        known += [f"{seed}-{line.strip()}" for line in lines]
        names = [one.name for one in gallery.people()]
        assert {*known} <= {*names} and len(names) - len(known) <= seed  # committed, but not printed yet
        assert gallery.check().damage == []
    probe = World(2, n_people=10_000).clip(4)
    assert gallery.identify([probe])[0].n_people == len(names)


def test_two_writers_at_once_and_a_reader(tmp_path):
    gallery = make_gallery(tmp_path)
    processes = [enrolling(gallery.path, seed) for seed in (1, 2)]
    for process in processes:
        for _ in range(12):
            assert process.stdout.readline()
        assert gallery.identify([World(1).clip(0)])[0].n_people > 0
    for process in processes:
        process.kill()
        process.wait()
    names = {one.name for one in gallery.people()}
    assert {f"{seed}-{person}" for seed in (1, 2) for person in range(12)} <= names
    assert gallery.check().damage == []


def test_a_reader_sees_one_state_while_others_write(tmp_path, monkeypatch):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    monkeypatch.setattr(gallery_database, "BRIEF", 0.1)
    with gallery.database.reading() as connection:
        assert connection.execute("SELECT COUNT(*) FROM people").fetchone() == (1,)
        gallery.enroll("b", [world.sample(1)])
        removal = gallery.remove("a")
        assert connection.execute("SELECT name FROM people").fetchall() == [("a",)]
    assert not removal.emptied and [one.name for one in gallery.people()] == ["b"]


def test_a_writer_waits_for_another_and_gives_up_with_a_message(tmp_path, monkeypatch):
    world, gallery = World(), make_gallery(tmp_path)
    with gallery.database.writing():
        monkeypatch.setattr(gallery_database, "PATIENCE", 0.1)
        with pytest.raises(InputError, match=r"people\.gallery.*another process"):
            gallery.enroll("a", [world.sample(0)])
        monkeypatch.setattr(gallery_database, "PATIENCE", 30.0)
        thread = threading.Thread(target=gallery.enroll, args=("b", [world.sample(1)]))
        thread.start()
        time.sleep(0.2)
        assert thread.is_alive()
    thread.join()
    assert [one.name for one in gallery.people()] == ["b"]


def test_an_error_in_a_transaction_leaves_the_gallery_as_it_was(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    with pytest.raises(KeyboardInterrupt), gallery.database.writing() as connection:
        connection.execute("DELETE FROM people")
        raise KeyboardInterrupt
    assert [one.name for one in gallery.people()] == ["a"] and gallery.check().damage == []


def test_a_full_file_keeps_what_it_has(tmp_path, monkeypatch):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    begin = gallery_database.begin_writing

    def limited(connection):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        begin(connection)

    with monkeypatch.context() as patch:
        patch.setattr(gallery_database, "begin_writing", limited)
        with pytest.raises(OSError, match=r"No space left.*people\.gallery"):
            for person in range(1, 40):
                gallery.enroll(f"p{person}", [world.sample(person)], consent="x" * 100_000, force=True)
    n_people = len(gallery.people())
    gallery.enroll("later", [world.sample(1)], force=True)
    assert len(gallery.people()) == n_people + 1 and gallery.check().damage == []


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MiB in memory: its folder, and a function that mounts it again with other options."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let the tests mount a disk in memory")
    yield folder, lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    subprocess.run(["umount", folder], check=True)


def on_disk(tmp_path, folder):
    create_gallery(folder / "g", make_setup(ENCODERS, parts_of(tmp_path, logistic())))
    return Gallery(folder / "g")


def test_a_full_disk_keeps_what_it_has(tmp_path, disk):
    folder, remount = disk
    world, gallery = World(), on_disk(tmp_path, folder)
    gallery.enroll("a", [world.sample(0)])
    with open(folder / "filler", "wb", buffering=0) as filler, pytest.raises(OSError):
        while True:
            filler.write(bytes(4096))
    with pytest.raises(OSError, match=r"No space left.*disk/g"):
        gallery.enroll("b", [world.sample(1)])
    assert [one.name for one in gallery.people()] == ["a"]
    remount("size=16m")
    gallery.enroll("b", [world.sample(1)])
    assert len(gallery.people()) == 2 and gallery.check().damage == []


def test_a_read_only_disk_serves_identification_and_refuses_enrolment(tmp_path, disk):
    folder, remount = disk
    remount("size=16m")
    world, gallery = World(), on_disk(tmp_path, folder)
    gallery.enroll("a", [world.sample(0)])
    remount("ro")
    gallery = Gallery(folder / "g")
    assert gallery.identify([world.clip(0)])[0].name == "a"
    with pytest.raises(InputError, match=r"disk/g: cannot be written"):
        gallery.enroll("b", [world.sample(1)])
    remount("rw")
    (folder / "g-wal").write_bytes(b"the latest changes")
    remount("ro")
    with pytest.raises(InputError, match="g-wal"):
        Gallery(folder / "g")
    with pytest.raises(InputError, match="cannot be written"):
        create_gallery(folder / "new", make_setup(ENCODERS, parts_of(tmp_path, logistic())))


def test_a_file_changed_while_it_is_read_without_locks_is_noticed(tmp_path, monkeypatch):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])

    def unable(self, connection):
        raise sqlite3.OperationalError("unable to open database file")

    check = Database.check
    calls = []

    def once(self, connection):
        calls.append(0)
        return unable(self, connection) if len(calls) % 2 else check(self, connection)

    monkeypatch.setattr(Database, "check", once)
    assert gallery.people()
    with pytest.raises(InputError, match="changed while it was read"), gallery.database.reading() as connection:
        assert connection.execute("SELECT name FROM people").fetchone() == ("a",)
        os.utime(gallery.path, ns=(1, 1))


def test_damaged_files_and_other_files_are_refused(tmp_path):
    world, gallery = World(), make_gallery(tmp_path)
    for person in range(30):
        gallery.enroll(f"p{person}", [world.sample(person)], force=True)
    gallery.database.empty_log()
    content = gallery.path.read_bytes()
    for number, damaged in enumerate([content[: len(content) // 3], b"\0" * 1000 + content[1000:], b"text, no database",
                                      content[:70_000] + b"\xff" * 300_000 + content[370_000:]]):  # fmt: skip
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=f"damaged{number}"):
            broken = Gallery(path)
            broken.identify([world.clip(0)])
            broken.people()
            assert not broken.check().damage
            pytest.fail("nothing noticed")
    with pytest.raises(InputError, match="no such gallery"):
        Gallery(tmp_path / "absent")
    with pytest.raises(InputError, match="folder"):
        Gallery(tmp_path)
    sqlite3.connect(tmp_path / "other.db").execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(InputError, match="not a gallery"):
        Gallery(tmp_path / "other.db")


@pytest.mark.parametrize(
    "change",
    ["UPDATE embeddings SET vector = x'000000'", "UPDATE embeddings SET quality = '{'", "DELETE FROM settings",
     "UPDATE embeddings SET quality = '[1]'", "UPDATE parts SET content = x'00'", "DELETE FROM encoders",
     "UPDATE settings SET value = 'x' WHERE name = 'frames_per_clip'", "DROP TABLE recordings",
     "UPDATE parts SET name = '../x'", "UPDATE embeddings SET vector = 'text'"],
)  # fmt: skip
def test_damaged_content_is_an_error_without_a_traceback(tmp_path, change):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    connection = sqlite3.connect(gallery.path)
    connection.execute(change)
    connection.commit()
    connection.close()
    with pytest.raises(InputError, match=r"people\.gallery: is damaged"):
        Gallery(gallery.path).identify([world.clip(0)])


def test_a_gallery_of_a_newer_avsv_is_refused(tmp_path):
    gallery = make_gallery(tmp_path)
    with sqlite3.connect(gallery.path) as connection:
        connection.execute(f"PRAGMA user_version = {gallery_database.VERSION + 1}")
    with pytest.raises(InputError, match=f"format {gallery_database.VERSION + 1}.*update avsv"):
        Gallery(gallery.path)


def test_a_gallery_of_an_older_format_is_upgraded_or_refused(tmp_path, monkeypatch):
    world, gallery = World(), make_gallery(tmp_path)
    gallery.enroll("a", [world.sample(0)])
    monkeypatch.setattr(gallery_database, "VERSION", gallery_database.VERSION + 1)
    with pytest.raises(InputError, match="cannot upgrade"):
        Gallery(gallery.path)
    steps = {1: "ALTER TABLE people ADD COLUMN title TEXT DEFAULT 'Dr'; UPDATE settings SET value = value"}
    monkeypatch.setattr(gallery_database, "UPGRADES", steps)
    Gallery(gallery.path)
    with Gallery(gallery.path).database.reading() as connection:
        assert connection.execute("SELECT name, title FROM people").fetchone() == ("a", "Dr")
        assert connection.execute("PRAGMA user_version").fetchone()[0] == gallery_database.VERSION


def test_an_interrupted_creation_can_be_repeated(tmp_path):
    path = tmp_path / "g"
    database = Database(path)

    def killed(connection):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.create(killed)
    with pytest.raises(InputError, match="no such gallery"):
        Gallery(path)
    setup = make_setup(ENCODERS, parts_of(tmp_path, logistic()))
    create_gallery(path, setup)
    assert Gallery(path).people() == []
    with pytest.raises(InputError, match="exists"):
        create_gallery(path, setup)


@pytest.mark.parametrize("text", ["database disk image is malformed", "file is not a database", "disk I/O error", "?"])
def test_every_error_of_sqlite_names_the_file(tmp_path, text):
    assert str(as_avsv_error(tmp_path / "g", sqlite3.DatabaseError(text))).startswith(f"{tmp_path}/g: ")
