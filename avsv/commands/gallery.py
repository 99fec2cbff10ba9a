"""avsv gallery: list, show, rename, remove, export, import, check or rebuild the people of a gallery.

  avsv gallery list GALLERY              everybody, with the number of recordings
  avsv gallery show GALLERY NAME         a person's recordings, with quality and consent notes
  avsv gallery rename GALLERY NAME NEW   give a person another name
  avsv gallery remove GALLERY NAME ...   remove people with everything derived from their recordings, and list it
  avsv gallery export GALLERY FILE       write everything to one file, for other programs or another gallery
  avsv gallery import GALLERY FILE       add the people of such a file; makes GALLERY if it is absent
  avsv gallery check GALLERY             is the file sound, are the encoders the same, are the media still there?
  avsv gallery rebuild GALLERY           embed everybody again, by the encoders as they are now or by others

Removed content is overwritten with zeros in the file. Media files are never touched. check ends with exit code 3 if
people must be embedded again or the file is damaged. rebuild works beside the present embeddings and can be repeated
after an interruption; --voice, --face, --calibration, --adaptation, --voice-plda, --face-plda and --frames-per-clip
replace the models, and recordings whose files are gone stop it unless --missing drop leaves them out.

example:
  avsv gallery list people.gallery
"""

import json
import sys
from pathlib import Path

from avsv.commands._arguments import add_device, add_missing, add_trust
from avsv.commands.enroll import add_models, models_of

WORK_TO_DO = 3  # exit code of check
INTERMIXED = True  # options may stand between names
# action -> least and most arguments after GALLERY, and what they are
ACTIONS = {
    "list": (0, 0, "nothing"),
    "show": (1, 1, "a name"),
    "rename": (2, 2, "a name and the new one"),
    "remove": (1, sys.maxsize, "one or more names"),
    "export": (1, 1, "a file"),
    "import": (1, 1, "a file"),
    "check": (0, 0, "nothing"),
    "rebuild": (0, 0, "nothing"),
}


def add_arguments(parser):
    parser.add_argument("action", choices=[*ACTIONS], metavar="ACTION", help=", ".join(ACTIONS))
    parser.add_argument("gallery", type=Path, metavar="GALLERY")
    parser.add_argument("names", nargs="*", metavar="NAME", help="names, or a file")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    add_models(parser, "of rebuild: ")
    add_missing(parser, "recordings that rebuild cannot embed again", "error", "drop")
    add_trust(parser)
    add_device(parser)
    parser.set_defaults(fail=parser.error)


def run(args):
    from avsv.people.gallery import Gallery

    least, most, expected = ACTIONS[args.action]
    if not least <= len(args.names) <= most:
        args.fail(f"{args.action}: expected {expected} after GALLERY, found {' '.join(args.names) or 'nothing'}")
    given = {name: value for name, value in models_of(args).items() if value}
    if args.action != "rebuild" and (given or args.missing != "error"):
        args.fail(f"{args.action}: models and --missing are options of rebuild")
    if args.action == "import":
        record, lines = import_people(args.gallery, args.names[0])
    else:
        gallery = Gallery(args.gallery, device=args.device, trust=args.trust_model)
        options = {**given, "missing": args.missing} if args.action == "rebuild" else {}
        record, lines = RUN[args.action](gallery, *args.names, **options)
    print(json.dumps(record, indent=2) if args.json else "\n".join(lines))
    return WORK_TO_DO if args.action == "check" and not record["current"] else 0


def list_people(gallery):
    people = gallery.people()
    records = [{"name": one.name, "added": one.added, "recordings": one.n_recordings, **one.n_with} for one in people]
    counts = [", ".join(f"{n} with {modality}" for modality, n in one.n_with.items()) for one in people]
    lines = [f"{one.name}  {one.n_recordings} recordings, {text}" for one, text in zip(people, counts, strict=True)]
    return records, [*lines, f"{len(people)} people"]


def show(gallery, name):
    recordings = gallery.recordings(name)
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
    return {"name": name, "recordings": [record_of(one) for one in recordings]}, lines


def record_of(one):
    return {"file": one.path, "digest": one.digest, "added": one.added, "consent": one.consent,
            "audio_track": one.audio_track, "modalities": list(one.modalities), "absent": one.absent,
            "quality": one.quality}  # fmt: skip


def rename(gallery, old, new):
    gallery.rename(old, new)
    return {"name": new, "was": old}, [f"{old}: is now {new}"]


def remove(gallery, *names):
    for name in names:
        gallery.recordings(name)  # nobody is removed if one of the names is wrong
    records, lines = [], []
    for name in dict.fromkeys(names):
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


def export(gallery, path):
    n = gallery.export(path)
    return {"file": path, "recordings": n}, [f"{path}: {n} recordings"]


def import_people(path, file):
    from avsv.people.gallery import Gallery

    result = Gallery.import_file(path, file)
    record = {"people": result.n_people, "recordings": result.n_recordings, "made": result.made}
    return record, [f"{path}: {result.n_people} people added, with {result.n_recordings} recordings"]


def check(gallery):
    found = gallery.check()
    record = {"current": found.is_current, "damage": found.damage, "encoders": found.encoders,
              "media": [{"name": name, "file": path, "state": state} for name, path, state in found.media],
              "people": found.n_people, "recordings": found.n_recordings}  # fmt: skip
    lines = [f"damaged: {text}" for text in found.damage]
    stale = {modality: reason for modality, reason in found.encoders.items() if reason}
    lines += [f"{modality} encoder: {reason}" for modality, reason in stale.items()]
    lines += [f"{name}: {path} is {state}" for name, path, state in found.media]
    lost = f"{len(found.media)} of {found.n_recordings} recordings cannot be embedded again"
    if stale:
        lines.append(f"everybody must be embedded again (avsv gallery rebuild); {lost}")
    else:
        lines.append(f"{found.n_people} people: encoders are the same{f'; {lost}' if found.media else ''}")
    return record, lines


def rebuild(gallery, **options):
    result = gallery.rebuild(**options)
    dropped = [{"name": name, "file": path, "reason": reason} for name, path, reason in result.dropped]
    record = {"embedded": result.n_embedded, "resumed": result.n_resumed, "dropped": dropped,
              "removed_people": result.removed}  # fmt: skip
    lines = [f"{name}: {path} left out: {reason}" for name, path, reason in result.dropped]
    lines += [f"{name}: removed, without recordings" for name in result.removed]
    resumed = f", {result.n_resumed} of them before an interruption" if result.n_resumed else ""
    return record, [*lines, f"{result.n_embedded} recordings embedded again{resumed}"]


RUN = {"list": list_people, "show": show, "rename": rename, "remove": remove, "export": export, "check": check,
       "rebuild": rebuild}  # fmt: skip
