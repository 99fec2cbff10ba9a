#!/usr/bin/env python3
"""Write spk2age and spk2nationality, which vox2_meta.csv does not contain, for the people of the corpus.

Both derive from the seed of the corpus. Age is one of three groups (20-34, 35-49, 50-75); nationality is the accent of
the voice, which is independent of the face.

example: local/describe_people.py corpus data/train data/test
"""

import argparse
import json
import sys
from pathlib import Path

from people import Traits, random_stream, traits_of
from trials import person_ids
from voices import draw_voice

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.tables import write_table


def age_group(traits: Traits) -> str:
    """Return the age group as text.

    Examples
    --------
    >>> age_group(Traits("m", 34.9, 0.0)), age_group(Traits("m", 35.0, 0.0))
    ('20-34', '35-49')
    """
    return "20-34" if traits.age < 35 else "35-49" if traits.age < 50 else "50-75"


def main(args: argparse.Namespace) -> None:
    try:
        settings = json.loads((args.corpus / "corpus.json").read_text())
    except FileNotFoundError:
        raise InputError(f"{args.corpus}/corpus.json: not found; make the corpus first") from None
    people, seed = settings["people"], settings["seed"]
    ages, nations = {}, {}
    for number, name in enumerate(person_ids(seed, people)):
        traits = traits_of(seed, number)
        ages[name] = age_group(traits)
        nations[name] = draw_voice(traits, random_stream(seed, "voice", number)).accent
    for folder in args.data_dirs:
        present = set(read_data_dir(folder).utt2spk.values())
        write_table(folder / "spk2age", {spk: ages[spk] for spk in present})
        write_table(folder / "spk2nationality", {spk: nations[spk] for spk in present})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="made by make_corpus.py")
    parser.add_argument("data_dirs", type=Path, nargs="+", metavar="DATA_DIR")
    try:
        main(parser.parse_args())
    except InputError as error:
        sys.exit(f"describe_people.py: {error}")
