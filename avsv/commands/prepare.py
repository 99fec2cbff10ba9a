"""avsv prepare: make a data directory of a folder of recordings, videos and images.

FOLDER has a folder for each person: PERSON/FILE or PERSON/SESSION/FILE. Files at its top, and in a folder named
"unknown", are of unknown people; with --unlabelled, all are. --table says instead who is in which file: csv or tsv with
a header, the columns file and person, and optionally session, gender (m or f), begin and end (seconds, for parts of a
recording) and others, such as language, which become tables utt2language.

What a file has is found by looking into it, not by its name. Files of one name in one folder are one clip: take1.wav
and take1.jpg have voice and face of take1. A folder with nothing but images, below a person's, is one clip; images in
the person's folder itself are a clip each.

DATA_DIR gets wav.scp, video.scp, utt2spk, utt2dur, utt2modality, utt2vid (session), utt2file (the original file),
spk2name, and with unknown people utt2labelled (yes or no; an unknown person has the identifier of the recording).
left_out.tsv lists what is not used and why: files that cannot be read, have the same content as another, are silent or
shorter than 0.5 s. needs_diarisation lists recordings over 10 minutes, which probably have several people: cut them, or
give segments in a table. Run again, it looks only into files that are new or have changed.

example:
  avsv prepare videos data/own
  avsv prepare --table people.csv recordings data/own
"""

from pathlib import Path

SHOWN = 5  # recordings listed as long


def add_arguments(parser):
    parser.add_argument("--table", type=Path, metavar="FILE", help="csv or tsv: who is in which file")
    parser.add_argument("--unlabelled", action="store_true", help="nobody is known: folders do not name people")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the media")
    parser.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="to make")


def run(args):
    from avsv.errors import OptionError, printable
    from avsv.people.preparation import LEFT_OUT, LONG, LONG_ONES, prepare

    if args.table and args.unlabelled:
        raise OptionError("--unlabelled contradicts --table, which names people; leave their fields empty instead")
    made = prepare(args.folder, args.data_dir, args.table, args.unlabelled)
    if made is None:
        return
    print(f"{args.data_dir}: {made.n_people} people with {made.n_clips - made.n_unlabelled} clips, and "
          f"{made.n_unlabelled} clips of unknown people; {made.seconds / 60:.1f} minutes of audio")  # fmt: skip
    for reason, number in sorted(made.reasons.items(), key=lambda item: -item[1]):
        print(printable(f"left out, {reason}: {number}, such as {made.examples[reason]}"))
    if made.reasons:
        print(f"all that was left out: {args.data_dir / LEFT_OUT}")
    if made.n_people == 1:
        print("one person only: error rates need at least two, and a dozen or more to mean anything")
    if made.long:
        print(f"{len(made.long)} recordings last over {LONG / 60:.0f} minutes and may have several people, "
              f"{args.data_dir / LONG_ONES} lists them: {', '.join(made.long[:SHOWN])}")  # fmt: skip
