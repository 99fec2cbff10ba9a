"""avsv association evaluate: verification, 1:N matching and retrieval on a folder of lists.

--lists is a folder from avsv association lists, or the published lists of VoxCeleb1 without conversion (veriflist/,
matching/, retrieval/). --voice and --face are embeddings in one space (see avsv association embed), compared by cosine.
Verification gives EER and AUC; matching gives the accuracy for each N from 2 to the number of candidates on a line;
retrieval gives the mean average precision in both directions. Ties count as chance, in any order. Each measure
has the value of chance beside it, a 95 % interval, and p, the share of random assignments of faces to voices that are
as far off. A measure with p below 0.05 is not at chance; of 20 measures at chance, one has such a p.

The published lists name items by paths (A.R._Rahman/1.6/VIDEO/0067975.jpg, id10002/VIDEO/00001.wav); these are looked
up as id10002-VIDEO-0067975 and id10002-VIDEO-00001. --ids maps people's names: lines "A.R._Rahman id10002".

--odd-one-out EXP_DIR is a network of system svhf, which picks one of N candidates and does not embed. --voice and
--face are then the embeddings it was trained on, and only the matching lists of its direction are measured, with p from
at most 199 assignments.

example:
  avsv association evaluate --lists exp/association/lists/unseen --voice exp/infonce/unseen/voice.scp \\
    --face exp/infonce/unseen/face.scp --utt2spk data/unseen/utt2spk exp/infonce/unseen/results.json
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_resamples, result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument(
        "--lists",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of lists, from avsv association lists or published",
    )
    parser.add_argument("--voice", type=Path, required=True, metavar="SCP", help="voice embeddings")
    parser.add_argument("--face", type=Path, required=True, metavar="SCP", help="face embeddings")
    parser.add_argument("--utt2spk", type=Path, metavar="FILE", help="the person of each item; not for published lists")
    parser.add_argument("--ids", type=Path, metavar="FILE", help='people in published paths: lines "name id"')
    parser.add_argument("--odd-one-out", type=Path, metavar="EXP_DIR", help="a trained network of system svhf")
    add_resamples(parser, "random assignments of people for p; 0 for no intervals and no p")
    parser.add_argument("out", type=Path, metavar="OUT.json")


def run(args):
    from avsv.jobs.files import write_json
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.tables import read_table
    from avsv.systems.association.evaluation import JointSpace, measure_protocols
    from avsv.systems.association.lists import find_protocols
    from avsv.systems.association.results_table import table

    network_file = args.odd_one_out and args.odd_one_out / "association.safetensors"
    protocols = find_protocols(args.lists)
    lists = [path for path in sorted(args.lists.rglob("*")) if path.is_file()]
    made = MadeFrom(args.verb, {"voice": args.voice, "face": args.face, "model": network_file, "lists": lists,
                                "people": [args.utt2spk, args.ids]}, result_options(args))  # fmt: skip
    utt2spk = read_table(args.utt2spk, 2, "utterance speaker") if args.utt2spk else {}
    ids = read_table(args.ids, 2, "name id") if args.ids else {}
    voice, face = read_embeddings(args.voice), read_embeddings(args.face)
    if args.odd_one_out:
        from avsv.systems.association.svhf_scoring import load_odd_one_out

        network = load_odd_one_out(args.odd_one_out, voice, face, ids)
        protocols = network.matching_of(protocols)
        records = measure_protocols(protocols, None, utt2spk, network.score, ids, args.resamples)
    else:
        records = measure_protocols(protocols, JointSpace(voice, face, ids), utt2spk, n_permutations=args.resamples)
    for record in records:
        if record.get("n_left_out"):
            log.warning("retrieval %s: left out %d queries of people without items to find", record["list"],
                        record["n_left_out"])  # fmt: skip
    print(table(records))
    write_json(args.out, records)
    made.write(args.out)
    log.info("%d measures to %s", len(records), args.out)
