#!/usr/bin/env python3
"""Create a data directory of VoxCeleb1 with the trial lists Vox1-O, E and H.

Reads, and never writes to, the corpus:
  wav/ID/VIDEO/CLIP.wav                 audio, also as flac, m4a or ogg; or in dev/wav and test/wav, as unpacked
  unzippedFaces/NAME/1.6/VIDEO/*.jpg    images of a video's speaker (shared by the clips of the video); also without
                                        the 1.6, or with ID in place of NAME
  vox1_meta.csv                         ID <-> NAME, gender
  veri_test2.txt, list_test_all2.txt, list_test_hard2.txt     trial lists O, E, H, cleaned
  veri_test.txt, list_test_all.txt, list_test_hard.txt        the uncleaned lists, if present

example: local/prepare_voxceleb1.py /corpora/voxceleb1 data/vox1
"""

import argparse
import os
from pathlib import Path

from corpus import face_folders, find_clips, is_hidden, log, need, read_meta, run, write_set

from avsv.errors import InputError
from avsv.kaldi.tables import write_table
from avsv.kaldi.trials import read_trials, write_trials
from avsv.media.still_images import ENDINGS

AUDIO = (".wav", ".flac", ".m4a", ".ogg")
LISTS = {
    "O": "veri_test2.txt",
    "E": "list_test_all2.txt",
    "H": "list_test_hard2.txt",
    "O-uncleaned": "veri_test.txt",
    "E-uncleaned": "list_test_all.txt",
    "H-uncleaned": "list_test_hard.txt",
}


def find_audio(corpus: Path) -> dict[str, Path]:
    """The clips of wav/, or of dev/wav and test/wav."""
    parts = [part for part in (corpus / "dev/wav", corpus / "test/wav") if part.is_dir()]
    roots = [corpus / "wav"] if (corpus / "wav").is_dir() or not parts else parts
    of_root = [find_clips(need(root, "wav/ID/VIDEO/CLIP.wav of VoxCeleb1"), AUDIO) for root in roots]
    return {utt: clips[utt] for clips in of_root for utt in clips}


def has_images(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    return any(path.suffix.lower() in ENDINGS and not is_hidden(path.name) for path in folder.iterdir())


def find_faces(root: Path, names: dict[str, str], utts: list[str]) -> dict[str, Path]:
    """The image folder of each clip's video; clips without images are left out."""
    of_video: dict[tuple[str, str], Path | None] = {}
    folder_of = {}
    for utt in utts:
        spk, _, rest = utt.partition("-")
        video = rest.rpartition("-")[0]
        if (spk, video) not in of_video:
            places = face_folders(root, spk, names.get(spk, ""), video)
            of_video[spk, video] = next(filter(has_images, places), None)
        folder_of[utt] = of_video[spk, video]
    return {utt: folder for utt, folder in folder_of.items() if folder}


def write_lists(corpus: Path, out_dir: Path, known: set[str], prefix: str) -> None:
    """Copy the trial lists of the corpus in Kaldi's format, named PREFIX-O and so on.

    A trial of an unknown clip is an error. Lists in `out_dir` that the corpus no longer contains are removed, so they
    are not scored and reported any more.
    """
    for suffix, file in LISTS.items():
        name = f"{prefix}-{suffix}"
        if not (corpus / file).exists():
            if (out_dir / "trials" / name).exists():
                log.warning("%s/trials/%s: removed, because %s no longer contains %s", out_dir, name, corpus, file)
                (out_dir / "trials" / name).unlink()
            if "uncleaned" not in name:
                log.warning("%s: no %s, so the list %s is left out", corpus, file, name)
            continue
        trials = read_trials(corpus / file)
        unknown = sorted((set(trials.enroll_ids) | set(trials.test_ids)) - known)
        if unknown:
            raise InputError(
                f"{corpus}/{file}: {len(unknown)} clips of its trials are not in {corpus}/wav, such as {unknown[0]}"
            )
        write_trials(out_dir / "trials" / name, trials)
        log.info("%s: %d trials", name, len(trials))


def main(args):
    corpus = need(args.corpus.resolve(), "the folder of VoxCeleb1")
    wav = find_audio(corpus)
    if not wav:
        raise InputError(f"{corpus}/wav: contains no ID/VIDEO/CLIP.wav")
    faces = need(corpus / "unzippedFaces", "unzippedFaces/NAME/1.6/VIDEO/*.jpg of VoxCeleb1")
    meta = need(corpus / "vox1_meta.csv", "VoxCeleb1's meta file")
    names = read_meta(meta, "VoxCeleb1 ID", "VGGFace1 ID")
    if not any((corpus / file).exists() for file in LISTS.values()):
        raise InputError(f"{corpus}: has no trial list; expected one or more of {', '.join(LISTS.values())}")
    utts = sorted(wav, key=str.encode)
    folders = find_faces(faces, names, utts)
    if not folders:
        raise InputError(f"{faces}: contains no images of the {len(utts)} clips; expected NAME/1.6/VIDEO/*.jpg or "
                        "NAME/VIDEO/*.jpg, with the names of vox1_meta.csv")  # fmt: skip
    write_set(args.out_dir, wav, folders, read_meta(meta, "VoxCeleb1 ID", "Gender"), args.jobs)
    nations = read_meta(meta, "VoxCeleb1 ID", "Nationality")
    people = {utt.partition("-")[0] for utt in utts}
    write_table(args.out_dir / "spk2nationality", {s: nations[s].replace(" ", "_") for s in people})
    write_lists(corpus, args.out_dir, set(utts), args.lists)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument(
        "--lists", default="vox1", metavar="NAME", help="the trial lists are NAME-O, NAME-E and NAME-H (default: vox1)"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes that read lengths (default: all cores)"
    )
    run(main, parser)
