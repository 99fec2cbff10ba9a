"""avsv import-embeddings: convert another program's embeddings to a Kaldi archive.

Writes OUT_DIR/embedding.{ark,scp}, and OUT_DIR/utt2magnitude, the vectors' lengths: a quality measure for avsv
calibrate unless they were normalised. FILE is one of:
  npz            an array of strings and a table with as many rows; or one array per utterance (ESPnet)
  safetensors    one tensor per utterance; or a table, with the names as a JSON list in the metadata
  npy            a table, with --names-file
  ark, scp       of Kaldi, WeSpeaker, 3D-Speaker: vectors or single-row matrices, binary, compressed or text
  pt             torch.save of a dictionary: name -> tensor, or a table and a list of names (common with SpeechBrain)
  csv, tsv       name,value,value,... with or without a header; separated by comma, tab or space
The format is recognised by content, not by suffix. Pickles (StatObject_SB of SpeechBrain's PLDA recipe) are refused,
because they can run any program; the message explains how to convert one to npz.

Names with a media suffix, such as WeSpeaker's id10270/5r0dWxy17C8/00001.wav, become utterance identifiers,
id10270-5r0dWxy17C8-00001, as in VoxCeleb's trial lists. --paths all converts names without a suffix too (SpeechBrain,
ESPnet: id10270/5r0dWxy17C8/00001); --paths none leaves all names unchanged.

example:
  avsv import-embeddings ../wespeaker/exp/resnet/embeddings/vox1/xvector.scp exp/wespeaker/vox1
  avsv import-embeddings embeddings.npz exp/ecapa/test --array ecapa
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="FILE", help="the embeddings")
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")
    parser.add_argument("--array", metavar="NAME", help="array of the vectors, if several qualify")
    parser.add_argument("--names", metavar="NAME", help="array of the names, if several qualify")
    parser.add_argument("--names-file", type=Path, metavar="FILE", help="names, one per line, if FILE has none")
    parser.add_argument(
        "--paths", choices=["media", "all", "none"], default="media",
        help="names to convert to utterance identifiers (media: .wav, .m4a, .mp4, .flac)",
    )  # fmt: skip


def run(args):
    import numpy as np

    from avsv.importers.arrays import choose_arrays
    from avsv.importers.embeddings import check_embeddings, name_utterances
    from avsv.importers.formats import read_raw_embeddings, recognise_embeddings
    from avsv.jobs.files import replaced_together
    from avsv.kaldi.embeddings import write_embeddings
    from avsv.kaldi.tables import write_table

    if recognise_embeddings(args.file) == "torch":
        from avsv.importers.torch_files import read_torch

        raw = choose_arrays(args.file, "torch", *read_torch(args.file), args.array, args.names, args.names_file)
    else:
        raw = read_raw_embeddings(args.file, args.array, args.names, args.names_file)
    log.info("%s: %s", args.file, raw.note)
    as_written = check_embeddings(args.file, raw)
    embeddings, n_paths = name_utterances(args.file, as_written, args.paths)
    if n_paths:
        example = next((a, b) for a, b in zip(as_written.ids, embeddings.ids) if a != b)
        log.info("%d of %d names are paths and become utterance identifiers: %s -> %s",
                 n_paths, len(embeddings), *example)  # fmt: skip
    lengths = np.linalg.norm(embeddings.vectors, axis=1).tolist()
    out = args.out_dir
    with replaced_together(out / "utt2magnitude"):
        write_embeddings(out / "embedding.ark", out / "embedding.scp", embeddings.ids, embeddings.vectors)
        write_table(out / "utt2magnitude", zip(embeddings.ids, (f"{length:.6g}" for length in lengths)))
    log.info("%s: %d embeddings of %d values", args.out_dir / "embedding.scp", *embeddings.vectors.shape)
