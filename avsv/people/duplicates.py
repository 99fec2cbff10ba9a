"""Files of equal content: the same recording twice, or under two names."""

from collections.abc import Mapping, Sequence

from avsv.people.folders import Entry
from avsv.people.inspection import Contents

SAME = "has the same content as another file"
OTHER_NAME = "has the same content as a file of another person: at most one of the names is right"


def find_duplicates(entries: Sequence[Entry], contents: Mapping[str, Contents]) -> dict[str, tuple[str, str]]:
    """Files to leave out because another one has the same content, each with the reason and the other file.

    Of several files of one person (or of unknown people), the first stays, one with a name before one without. Of files
    of different people none stays: at most one of the names is right.

    Examples
    --------
    >>> entries = [Entry("/a/1.wav", ["1"], "a"), Entry("/a/2.wav", ["2"], "a"), Entry("/b/3.wav", ["3"])]
    >>> {twin: other for twin, (_, other) in find_duplicates(entries, {e.path: Contents("x") for e in entries}).items()}
    {'/a/2.wav': '/a/1.wav', '/b/3.wav': '/a/1.wav'}
    """
    people: dict[str, set[str]] = {}
    for entry in entries:
        people.setdefault(entry.path, set()).add(entry.person)
    groups: dict[str, list[str]] = {}
    for path in sorted(people, key=lambda path: ("" in people[path], path)):
        groups.setdefault(contents[path].digest, []).append(path)
    twins = {}
    for first, *others in groups.values():
        named = {tuple(people[path]) for path in (first, *others) if people[path] != {""}}
        if len(named) > 1:
            for path in (first, *others):
                twin = next(one for one in (first, *others) if people[one] != people[path])
                twins[path] = OTHER_NAME, twin
        else:
            twins |= dict.fromkeys(others, (SAME, first))
    return twins
