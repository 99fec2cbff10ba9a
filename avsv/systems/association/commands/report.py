"""avsv association report: results of several association systems as a page, JSON and Markdown.

Reads EXP_DIR/SYSTEM/measures/SET.json (from avsv association evaluate), the embeddings
EXP_DIR/SYSTEM/SET/{voice,face}.scp and the data directories DATA_DIR/SET. Writes OUT_DIR/index.html with tables that
include chance, 1:N curves, voices to play with the ten nearest faces of each, and both modalities in two dimensions
(PCA); also media/, results.json and results.md.

example:
  avsv association report exp/association data/association exp/association/results
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("exp_dir", type=Path, help="folder of the systems")
    parser.add_argument("data_dir", type=Path, help="folder of the sets' data directories")
    parser.add_argument("out_dir", type=Path)


def run(args):
    from avsv.systems.association.report import write_association_report

    write_association_report(args.exp_dir, args.data_dir, args.out_dir)
