"""avsv association report: measures of face-voice association of several systems as one page, as JSON and Markdown.

Reads EXP_DIR/SYSTEM/measures/SET.json, which avsv association evaluate wrote, the embeddings
EXP_DIR/SYSTEM/SET/{voice,face}.scp, and the data directories DATA_DIR/SET. OUT_DIR gets index.html with tables beside
chance, 1:N curves, voices to hear with the ten faces nearest to each, and both modalities in two dimensions (PCA);
media/, results.json, results.md.

example:
  avsv association report exp/association data/association exp/association/results
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("exp_dir", type=Path, help="holds the systems")
    parser.add_argument("data_dir", type=Path, help="holds the data directories of the sets")
    parser.add_argument("out_dir", type=Path)


def run(args):
    from avsv.systems.association.report import write_association_report

    write_association_report(args.exp_dir, args.data_dir, args.out_dir)
