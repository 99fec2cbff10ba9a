"""avsv gallery: list, show, rename or remove the people of a gallery.

  avsv gallery list GALLERY              everybody, with the number of recordings
  avsv gallery show GALLERY NAME         a person's recordings, with quality and consent notes
  avsv gallery rename GALLERY NAME NEW   give a person another name
  avsv gallery remove GALLERY NAME ...   remove people with everything derived from their recordings, and list it

What is removed is overwritten with zeros in the file. Media files are never touched.

example:
  avsv gallery list people.gallery
"""

import json
from pathlib import Path

ACTIONS = {"list": (0, 0), "show": (1, 1), "rename": (2, 2), "remove": (1, None)}  # least and most arguments


def add_arguments(parser):
    parser.add_argument("action", choices=[*ACTIONS], metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("gallery", type=Path, metavar="GALLERY")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(fail=parser.error)


def run(args):
    from avsv.people.gallery import Gallery

    least, most = ACTIONS[args.action]
    if len(args.names) < least or (most is not None and len(args.names) > most):
        expected = {0: "no name", 1: "a name" if most else "one or more names", 2: "a name and a new name"}[least]
        args.fail(f"{args.action}: expected {expected} after GALLERY, found {len(args.names)}")
    record, lines = {"list": list_people, "show": show, "rename": rename, "remove": remove}[args.action](
        Gallery(args.gallery), args.names
    )
    print(json.dumps(record, indent=2) if args.json else "\n".join(lines))


def list_people(gallery, names):
    people = gallery.people()
    records = [{"name": one.name, "added": one.added, "recordings": one.n_recordings, **one.n_with} for one in people]
    counts = [", ".join(f"{n} with {modality}" for modality, n in one.n_with.items()) for one in people]
    lines = [f"{one.name}  {one.n_recordings} recordings, {text}" for one, text in zip(people, counts, strict=True)]
    return records, [*lines, f"{len(people)} people"]


def show(gallery, names):
    recordings = gallery.recordings(names[0])
    lines = []
    for one in recordings:
        lines += [f"{one.path}", f"  enrolled {one.added}, content {one.digest}"]
        if one.consent:
            lines.append(f"  consent: {one.consent}")
        for modality in one.modalities:
            measures = ", ".join(f"{name.removeprefix('utt2')} {value:.4g}"
                                 for name, value in one.quality[modality].items())  # fmt: skip
            lines.append(f"  {modality}: {measures}")
        lines += [f"  no {modality}: {reason}" for modality, reason in one.absent.items()]
    return {"name": names[0], "recordings": [record_of(one) for one in recordings]}, lines


def record_of(one):
    return {"file": one.path, "digest": one.digest, "added": one.added, "consent": one.consent,
            "audio_track": one.audio_track, "modalities": list(one.modalities), "absent": one.absent,
            "quality": one.quality}  # fmt: skip


def rename(gallery, names):
    gallery.rename(*names)
    return {"name": names[1], "was": names[0]}, [f"{names[0]}: is now {names[1]}"]


def remove(gallery, names):
    records, lines = [], []
    for name in names:
        removal = gallery.remove(name)
        records.append({"name": removal.name, "recordings": [record_of(one) for one in removal.recordings],
                        "embeddings": removal.n_embeddings, "log_emptied": removal.emptied})  # fmt: skip
        lines += [f"{removal.name}: removed, with"]
        lines += [f"  {n} {modality} embeddings and their quality" for modality, n in removal.n_embeddings.items()]
        lines += [f"  the record of {one.path}{', and its consent note' if one.consent else ''}"
                  for one in removal.recordings]  # fmt: skip
        if not removal.emptied:
            lines.append("  a reader still uses the former state; the next command that writes overwrites it")
    return records, lines
