"""avsv voice-to-face evaluate: generate faces of unseen people and measure how well they fit.

For each video of DATA_DIR (the clips that utt2vid assigns to it, joined) a face is generated from the first --seconds
of its speech and from all of it. Generated and real faces are compared in the embedding space of --face, a face network
that took no part in the training. Writes OUT_DIR/results.json, results.md (a table with 95 % intervals over people,
with the values of chance and of real faces) and faces.png: one row per person, one column per length, the last a real
face.

  matching       1:2 accuracy: is the generated face nearer to the speaker's face than to another person's? Measured
                 over all people and within one gender
  sex            agreement of gender, by a linear discriminant trained on real faces of --train
  retrieval      mean average precision of finding the speaker's faces among all
  consistency    EER of telling pairs of faces generated from one person's videos from pairs of different people
  frechet        Frechet distance between generated and real faces (FID, in this network's space)

Clips without enough speech and videos shorter than the longest length are counted, and the log names them.

example:
  avsv voice-to-face evaluate --model exp/voice_to_face --face exp/face --train data/train data/test exp/v2f/test
  avsv voice-to-face evaluate --model exp/v2f --face buffalo_l --train data/vox2 --seconds 1,3,5,10 data/vox1 exp/v2f/O
"""

import argparse
from pathlib import Path

from avsv.commands._arguments import add_device, at_least_one, result_options

LEAST = 0.32  # seconds; a copy of the value in voice_to_face.speech_features, which --help must not import
TABLES = ("utt2spk", "spk2gender", "faces.scp")  # of both data directories


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has wav.scp, faces.scp (avsv align-faces), utt2vid, spk2gender")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", required=True, type=Path, metavar="EXP", help="a training of task voice_to_face")
    parser.add_argument(
        "--face", required=True, metavar="MODEL", help="face network that judges, as in embed-face --model"
    )
    parser.add_argument("--train", required=True, type=Path, metavar="DATA_DIR", help="training people, with faces.scp")
    parser.add_argument("--seconds", type=growing_lengths, default=[0.5, 1.0, 2.0], metavar="S,S,...",
                        help="lengths of speech, shortest first (default: 0.5,1,2)")  # fmt: skip
    parser.add_argument("--people", type=at_least_one, default=10, metavar="N", help="rows of faces.png (default: 10)")
    add_device(parser)


def growing_lengths(text):
    try:
        lengths = [float(part) for part in text.split(",")]
    except ValueError:
        lengths = []
    if not lengths or sorted(set(lengths)) != lengths or not LEAST <= lengths[0] <= lengths[-1] < float("inf"):
        raise argparse.ArgumentTypeError(f'expected increasing seconds >= {LEAST}, such as 0.5,1,2, found "{text}"')
    return lengths


def run(args):
    from avsv.embeddings.face import FaceEmbedder
    from avsv.evaluation.tables import aligned
    from avsv.features.face_pack import load_pack
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import media_stamp
    from avsv.systems.voice_to_face.evaluation import evaluate_generator
    from avsv.systems.voice_to_face.generated_faces import FaceGenerator, network_files
    from avsv.systems.voice_to_face.results_table import FILES, results_table, write_results

    data, train = read_data_dir(args.data_dir), read_data_dir(args.train)
    generator = FaceGenerator(args.model, args.device)
    pack = load_pack(args.face, args.device, ("recognition",))
    inputs = {"model": network_files(args.model), "face": pack.files("recognition"),
              "data": [args.data_dir / name for name in (*TABLES, "wav.scp", "utt2vid")],
              "train": [args.train / name for name in TABLES]}  # fmt: skip
    options = {**result_options(args), "seconds": args.seconds}
    made = MadeFrom(args.verb, inputs, options, values={"media": media_stamp([data.wav])})
    embedder = FaceEmbedder(pack.recognition)
    results, page = evaluate_generator(generator, embedder, data, train, args.seconds, args.people)
    write_results(args.out_dir, results, page)
    for name in FILES:
        made.write(args.out_dir / name)
    print(aligned(results_table(results)))
