"""Identifiers of people and recordings: injective, safe for Kaldi's tables, and sorted like their people."""

import re

from hypothesis import given
from hypothesis import strategies as st

from avsv.people.identifiers import person_id, recording_id

SAFE_PERSON, SAFE = re.compile(r"[A-Za-z0-9_.]+"), re.compile(r"[A-Za-z0-9_.-]+")
names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=80)
plain = st.text("ab_- .1", min_size=1, max_size=6)
HOSTILE = ["a b", "a_b", "a.b", "a-b", "a  b", " a", "a ", "-a", "a'b", 'a"b', "a/b", "שלום", "مرحبا", "😀", "Ä", "A",
           "unknown", "Unknown", "a_0123abcd", "x" * 60, "x" * 61, "x" * 62, "a\tb", "a.wav", "..", "~", "$HOME",
           "*"]  # fmt: skip


def test_hostile_names_give_different_safe_identifiers():
    people = [person_id(name) for name in HOSTILE]
    files = [recording_id("p", [name]) for name in HOSTILE]
    assert len(set(people)) == len(set(files)) == len(HOSTILE)
    assert all(SAFE_PERSON.fullmatch(name) for name in people) and all(SAFE.fullmatch(name) for name in files)


@given(names)
def test_any_name_gives_a_safe_identifier_that_no_media_ending_ends(name):
    assert SAFE_PERSON.fullmatch(person_id(name)) and person_id(name) != "unknown"
    utt = recording_id(person_id(name), [name])
    assert SAFE.fullmatch(utt) and not utt.lower().endswith((".wav", ".mp4", ".m4a", ".flac"))


@given(st.lists(st.tuples(plain, st.lists(plain, min_size=1, max_size=3).map(tuple)), max_size=8))
def test_identifiers_are_injective_and_sort_like_their_people(files):
    utts = {file: recording_id(person_id(file[0]), file[1]) for file in files}
    assert len(set(utts.values())) == len(set(files))
    people = [person_id(person) for person, _ in sorted(set(files), key=lambda file: utts[file])]
    assert people == sorted(people)


def test_a_file_is_not_taken_for_a_segment():
    assert recording_id("a", ["x"], (1.0, 2.0)) != recording_id("a", ["x", "00001000_00002000"])
