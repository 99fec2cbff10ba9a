"""avsv voice-to-face evaluate: draw the faces of people who were not trained on, and measure how well they fit.

From each video of DATA_DIR (the clips that utt2vid gives one video, one after the other) a face is drawn from the first
--seconds of its speech and from all of it. Drawn and real faces are compared in the space of --face, a face network
that took no part in the training. Writes OUT_DIR/results.json, results.md (a table with 95 % intervals over people,
beside chance and beside what real faces reach) and faces.png: rows are people, columns lengths, the last a real face.

  matching       is the drawn face nearer to the speaker's than to another's? 1:2, over all and within one sex
  sex            does it agree? by a linear discriminant of real faces of --train
  retrieval      mean average precision of finding the speaker's faces among all
  consistency    EER of telling faces drawn from one person's videos from those of different people
  frechet        distance of drawn from real faces as crowds (FID, in this network's space)

Clips without enough speech and videos shorter than the longest length are counted and named.

example:
  avsv voice-to-face evaluate --model exp/voice_to_face --face exp/face --train data/train data/test exp/v2f/test
  avsv voice-to-face evaluate --model exp/v2f --face buffalo_l --train data/vox2 --seconds 1,3,5,10 data/vox1 exp/v2f/O
"""

import argparse
from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero

LEAST = (
    0.32  # seconds that the embedder needs (avsv.systems.voice_to_face.speech_features, which --help must not import)
)


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has wav.scp, faces.scp (avsv align-faces), utt2vid, spk2gender")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", required=True, type=Path, metavar="EXP", help="a training of task voice_to_face")
    parser.add_argument(
        "--face", required=True, metavar="MODEL", help="face network to judge by, as embed-face --model"
    )
    parser.add_argument("--train", required=True, type=Path, metavar="DATA_DIR", help="training people, with faces.scp")
    parser.add_argument("--seconds", type=growing_lengths, default=[0.5, 1.0, 2.0], metavar="S,S,...",
                        help="lengths of speech, shortest first (default: 0.5,1,2)")  # fmt: skip
    parser.add_argument("--people", type=at_least_one, default=10, metavar="N", help="rows of faces.png (default: 10)")
    parser.add_argument("--resamples", type=at_least_zero, default=1000, help="of the people, for intervals (1000)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def growing_lengths(text):
    try:
        lengths = [float(part) for part in text.split(",")]
    except ValueError:
        lengths = []
    if not lengths or sorted(set(lengths)) != lengths or not LEAST <= lengths[0] <= lengths[-1] < float("inf"):
        raise argparse.ArgumentTypeError(f'"{text}": expected seconds that grow, such as 0.5,1,2, each {LEAST} or more')
    return lengths


def run(args):
    from avsv.embeddings.face import FaceEmbedder
    from avsv.errors import InputError
    from avsv.features.face_pack import load_pack
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.systems.voice_to_face.evaluation import Faces, measure_lengths
    from avsv.systems.voice_to_face.generated_faces import (
        FaceDrawer,
        choose_probes,
        draw_lengths,
        embed_small_faces,
        read_small_faces,
    )

    data, train = read_data_dir(args.data_dir), read_data_dir(args.train)
    both = sorted(set(data.utt2spk.values()) & set(train.utt2spk.values()))
    if both:
        raise InputError(f"{args.data_dir}: {len(both)} of its people are in {args.train}, such as {both[0]}")
    drawer = FaceDrawer(args.model, args.device)
    embedder = FaceEmbedder(load_pack(args.face, args.device, ("recognition",)).recognition)

    seen, pictures = {}, {}
    for side in (data, train):
        people, pictures[side.path] = read_small_faces(side)
        seen[side.path] = Faces(embed_small_faces(embedder, pictures[side.path]), people)
    real = seen[data.path]
    probes = choose_probes(data, set(real.people), args.seconds[-1])
    drawn = draw_lengths(drawer, probes.videos, args.seconds)
    titles = [*(f"{seconds:g} s" for seconds in args.seconds), "all"]
    crowds = {title: Faces(embed_small_faces(embedder, drawn[:, i]), probes.people) for i, title in enumerate(titles)}
    sex = {**train.table("spk2gender"), **data.table("spk2gender")}
    results = {**probes.counts(), **measure_lengths(crowds, real, seen[train.path], sex, args.resamples)}
    references = dict(zip(real.people, pictures[data.path], strict=True))
    write(args.out_dir, results, draw_page(args.people, probes.people, drawn, references, titles, sex))


def draw_page(n_rows, people, drawn, references, titles, sex):
    """The first video of some people, spread over all, women and men in turn."""
    import numpy as np

    from avsv.systems.voice_to_face.page import face_page

    first = {person: row for row, person in reversed(list(enumerate(people)))}
    sexes = [sorted(person for person in first if sex[person] == kind) for kind in ("f", "m")]
    chosen = [one[i] for n, one in zip((-(-n_rows // 2), n_rows // 2), sexes, strict=True) if one
              for i in np.unique(np.linspace(0, len(one) - 1, n).astype(int))]  # fmt: skip
    rows = [np.concatenate([drawn[first[person]], references[person][None]]) for person in chosen]
    return face_page(rows, [f"{person} {sex[person]}" for person in chosen], [*titles, "real"])


def write(out_dir, results, page):
    """The results, and what tells of them."""
    from avsv.evaluation.tables import aligned, markdown_rows
    from avsv.jobs.files import replaced_together, whole_file, write_json
    from avsv.media.encoding import encode_png
    from avsv.systems.voice_to_face.table import drawn_table, report_lines

    cells = drawn_table(results)
    with replaced_together(*(out_dir / name for name in ("results.json", "results.md", "faces.png"))):
        with whole_file(out_dir / "faces.png", "wb") as out:
            out.write(encode_png(page))
        with whole_file(out_dir / "results.md") as out:
            out.write("\n".join(report_lines(results, markdown_rows(cells))) + "\n")
        write_json(out_dir / "results.json", results)
    print(aligned(cells))
