"""Embeddings taken over from earlier archives, of clips whose input and settings are the same.

An embedding command notes in the table `utt2input` what each vector was made from, as a hash: where the clip is, what
damage was done to it, the model and the options. A noisy test set finds there the clips that it leaves as they were,
and `--reuse` copies their vectors and measures instead of decoding and embedding the clips again.
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
    """Copy to archive "embedding" the clips among `utts` that folders of earlier runs hold, made from the same.

    Parameters
    ----------
    earlier : OUT_DIRs of the same command; the first one that has a clip gives it
    tables : of measures, copied with the vectors

    Returns
    -------
    the utterances that are still to be done

    Raises
    ------
    InputError : a folder without embeddings, or whose embeddings are incomplete, change while they are read, or were
        made by an earlier version of avsv
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
        found = read_embeddings(folder / "embedding.scp", only=same)
        for utt, vector in zip(found.ids, found.vectors, strict=True):
            out.write("embedding", utt, vector)
            del left[utt]
        taken = set(found.ids)
        for name in tables:
            for utt, value in read_table(folder / name).items():
                if utt in taken:
                    out.note(name, utt, value)
        if finished(folder) != before:
            raise InputError(f"{folder}: is being made again, so it cannot be reused; wait until it is complete")
        log.info("%s: %d of %d clips are the same there", folder, len(found), len(utts))
    return list(left)
