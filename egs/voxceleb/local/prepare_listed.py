#!/usr/bin/env python3
"""Create a data directory of all recordings and images that published face-voice lists name.

Each recording becomes a clip ID-VIDEO-CLIP with a wav, each image a clip ID-VIDEO-FRAME with that single image, because
the lists compare one embedding per image. The log counts and names files that the corpus lacks.

example: local/prepare_listed.py --ids data/association/ids --lists association /corpora/voxceleb1 data/listed
"""

import argparse
from pathlib import Path

from corpus import face_folders, log, run

from avsv.errors import InputError
from avsv.kaldi.data_dir import write_data_dir
from avsv.kaldi.tables import read_table
from avsv.systems.association.lists import find_protocols, item_id, read_gallery, read_matching, read_verification


def listed_names(folder: Path) -> set[str]:
    """All paths in the lists of a folder."""
    lists = find_protocols(folder)
    names: set[str] = set()
    for path in lists.verification.values():
        trials = read_verification(path)
        names |= {*trials.enroll_ids, *trials.test_ids}
    for path in lists.matching.values():
        matching = read_matching(path)
        names |= {*matching.query_ids, *matching.candidate_ids}
    for path in lists.retrieval or ():
        names |= set(read_gallery(path))
    return names


def places_of(utt: str, is_audio: bool, names: dict[str, str]) -> list[Path]:
    """Possible locations of a clip in the corpus: wav/ID/VIDEO/CLIP.wav, or unzippedFaces/NAME/1.6/VIDEO/FRAME.jpg.

    Examples
    --------
    >>> places_of("id10001-a-b-00001", True, {})
    [PosixPath('wav/id10001/a-b/00001.wav')]
    >>> places_of("id10001-a-b-0000001", False, {"id10001": "Jim"})[:2]
    [PosixPath('unzippedFaces/Jim/1.6/a-b/0000001.jpg'), PosixPath('unzippedFaces/Jim/a-b/0000001.jpg')]
    """
    person, _, rest = utt.partition("-")
    video, _, clip = rest.rpartition("-")
    if is_audio:
        return [Path("wav", person, video, f"{clip}.wav")]
    root = Path("unzippedFaces")
    return [folder / f"{clip}.jpg" for folder in face_folders(root, person, names.get(person, ""), video)]


def main(args):
    corpus, ids = args.corpus.resolve(), read_table(args.ids, 2, "name id")
    names = {spk: name for name, spk in ids.items()}
    wav, video, absent = {}, {}, []
    for name in sorted(listed_names(args.lists)):
        utt, is_audio = item_id(name, ids), name.endswith(".wav")
        places = [corpus / place for place in places_of(utt, is_audio, names)]
        path = next(filter(Path.exists, places), None)
        if path:
            (wav if is_audio else video)[utt] = str(path)
        else:
            absent.append(str(places[0]))
    for path in absent[:10]:
        log.warning("not in the corpus: %s", path)
    if absent:
        log.warning("%d of %d recordings and images of the lists are not in the corpus", len(absent),
                    len(absent) + len(wav) + len(video))  # fmt: skip
    if not wav or not video:
        raise InputError(f"{corpus}: has {len(wav)} recordings and {len(video)} images of the lists in {args.lists}")
    utt2spk = {utt: utt.partition("-")[0] for utt in sorted({*wav, *video})}
    write_data_dir(args.out_dir, {"utt2spk": utt2spk, "wav.scp": wav, "video.scp": video})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="the folder of VoxCeleb1")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--ids", type=Path, required=True, help="name id; written by prepare_association.py --meta")
    parser.add_argument("--lists", type=Path, required=True, metavar="DIR", help="folder of the published lists")
    run(main, parser)
