"""Reuse of embeddings from other archives, for clips with the same input and settings.

The table `utt2input` has a hash of what each vector was made from: the clip's media, its damage, the model and options
(clip_keys.py). A noisy test set leaves many clips undamaged; --reuse copies their vectors and measures from the clean
set instead of decoding and embedding them again.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from avsv.errors import InputError
from avsv.jobs.shards import finished, refuse_earlier_version
from avsv.kaldi.clip_keys import INPUT
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.shard_writer import ShardWriter
from avsv.kaldi.tables import read_table

log = logging.getLogger("avsv")


def take_over(earlier: Sequence[Path], utts: Sequence[str], tables: Sequence[str], out: ShardWriter) -> list[str]:
    """Copy clips with the same input from folders of earlier runs to the archive "embedding".

    Parameters
    ----------
    earlier : OUT_DIRs of the same command; a clip is copied from the first that has it
    tables : measures, copied with the vectors

    Returns
    -------
    utterances still to be embedded

    Raises
    ------
    InputError : a folder has no embeddings, or they are incomplete, change while they are read, or were made by an
        earlier version of avsv
    """
    wanted = {utt: out.tables[INPUT][utt] for utt in utts}
    left = dict(wanted)
    for folder in earlier:
        if not (folder / INPUT).exists():
            raise InputError(f"{folder}: has no {INPUT}, so it cannot be reused; embed it with this version first")
        refuse_earlier_version(folder)
        if not (before := finished(folder)):
            raise InputError(f"{folder}: is not complete, so it cannot be reused; finish it first")
        made_from = read_table(folder / INPUT)
        same = [utt for utt, value in left.items() if made_from.get(utt) == value]
        reused = read_embeddings(folder / "embedding.scp", only=same)
        for utt, vector in zip(reused.ids, reused.vectors, strict=True):
            out.write("embedding", utt, vector)
            del left[utt]
        taken = set(reused.ids)
        for name in tables:
            for utt, value in read_table(folder / name).items():
                if utt in taken:
                    out.note(name, utt, value)
        if finished(folder) != before:
            raise InputError(f"{folder}: is being made again, so it cannot be reused; wait until it is complete")
        log.info("%s: %d of %d clips have the same input and are copied", folder, len(reused), len(utts))
    return list(left)
