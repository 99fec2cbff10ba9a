"""avsv association evaluate: verification, 1:N matching and retrieval on a folder of lists.

LISTS is a folder made by avsv association lists, or the published lists of VoxCeleb1 as they are (veriflist/,
matching/, retrieval/). --voice and --face are embeddings in one space (see avsv association embed), compared by their
cosine. Verification: EER and AUC; matching: accuracy for each N from 2 to the number of candidates on a line;
retrieval: mean average precision both ways. Equal scores count as chance, not by their order. Each measure stands
beside what chance gives and has a 95 % interval from 1,000 resamples of the people.

Names in published lists are paths (A.R._Rahman/1.6/VIDEO/0067975.jpg, id10002/VIDEO/00001.wav); they are found as
id10002-VIDEO-0067975 and id10002-VIDEO-00001, with --ids for the people's names: lines "A.R._Rahman id10002".

--odd-one-out EXP_DIR: a network of system svhf, which tells which one of N candidates it is and embeds nothing; then
--voice and --face are the embeddings it was trained on, and the matching lists of its direction are measured alone.

example:
  avsv association evaluate --lists exp/association/lists/unseen --voice exp/infonce/unseen/voice.scp \\
    --face exp/infonce/unseen/face.scp --utt2spk data/unseen/utt2spk exp/infonce/unseen/results.json
"""

import logging
from pathlib import Path

from avsv.commands._arguments import at_least_zero, result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--lists", type=Path, required=True, metavar="DIR", help="folder of lists, ours or published")
    parser.add_argument("--voice", type=Path, required=True, metavar="SCP", help="voice embeddings")
    parser.add_argument("--face", type=Path, required=True, metavar="SCP", help="face embeddings")
    parser.add_argument("--utt2spk", type=Path, metavar="FILE", help="who each item is of; not for published lists")
    parser.add_argument("--ids", type=Path, metavar="FILE", help="names in published paths: name id")
    parser.add_argument("--odd-one-out", type=Path, metavar="EXP_DIR", help="a network of system svhf")
    parser.add_argument(
        "--resamples", type=at_least_zero, default=1000, metavar="N", help="of the intervals; 0: none (1000)"
    )
    parser.add_argument("out", type=Path, metavar="OUT.json")


def run(args):
    from avsv.jobs.files import write_json
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.tables import read_table
    from avsv.systems.association.evaluation import JointSpace, measure_protocols
    from avsv.systems.association.lists import find_protocols
    from avsv.systems.association.table import table

    network_file = args.odd_one_out and args.odd_one_out / "association.safetensors"
    protocols = find_protocols(args.lists)
    lists = [path for path in sorted(args.lists.rglob("*")) if path.is_file()]
    made = MadeFrom(args.verb, {"voice": args.voice, "face": args.face, "model": network_file, "lists": lists,
                                "people": [args.utt2spk, args.ids]}, result_options(args))  # fmt: skip
    utt2spk = read_table(args.utt2spk, 2, "utterance speaker") if args.utt2spk else {}
    ids = read_table(args.ids, 2, "name id") if args.ids else {}
    voice, face = read_embeddings(args.voice), read_embeddings(args.face)
    if args.odd_one_out:
        from avsv.systems.association.odd_one_out import load_odd_one_out

        network = load_odd_one_out(args.odd_one_out, voice, face, ids)
        protocols = network.matching_of(protocols)
        records = measure_protocols(protocols, None, utt2spk, network.score, ids, args.resamples)
    else:
        records = measure_protocols(protocols, JointSpace(voice, face, ids), utt2spk, n_resamples=args.resamples)
    for record in records:
        if record.get("n_left_out"):
            log.warning("retrieval %s: %d queries have nothing to find and are left out", record["list"],
                        record["n_left_out"])  # fmt: skip
    print(table(records))
    write_json(args.out, records)
    made.write(args.out)
    log.info("%d measures to %s", len(records), args.out)
