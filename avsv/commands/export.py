"""avsv export: a trained model as a file or folder of other tools, checked against the original.

  MODEL                             --format      OUT
  voice encoder (folder or name)    onnx          FILE.onnx; --input waveform or features
                                    speechbrain   a folder that EncoderClassifier.from_hparams loads
                                    sherpa-onnx   FILE.onnx; encoders trained with features: kaldi
  face pack (folder or name)        onnx          FILE.onnx: the recognition network
                                    insightface   a folder that InsightFace's FaceAnalysis loads
  AVN-E (folder)                    onnx          FILE.onnx: two embeddings to one
  AVN-J (folder)                    onnx          a folder: voice.onnx, face.onnx, pair.onnx
  calibration or fusion (JSON)      onnx          FILE.onnx: scores to log-likelihood ratios

Outputs are compared on 100 random inputs of many lengths; if the largest difference exceeds the limit, nothing is
written. Metadata in the file tell the input, the model's name and its licence: --license, or the one that the header of
the model card (README.md in the model's folder) states.

example:
  avsv export exp/voice voice.onnx --format onnx --license CC-BY-4.0
  avsv export exp/face packs/my_faces --format insightface
"""

import logging
from pathlib import Path

from avsv.commands._arguments import result_options

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("model", metavar="MODEL", help="folder of a model, published name, or JSON of a calibration")
    parser.add_argument("out", type=Path, metavar="OUT", help="file or folder to write")
    parser.add_argument(
        "--format", choices=["onnx", "speechbrain", "insightface", "sherpa-onnx"], default="onnx", help="(onnx)"
    )
    parser.add_argument(
        "--input", choices=["waveform", "features"], default="waveform",
        help="input of a voice encoder in ONNX; the file computes the features itself, or gets them (waveform)",
    )  # fmt: skip
    parser.add_argument("--license", metavar="NAME", help="licence of the weights (that of the model card)")


def run(args):
    from avsv.exporters.formats import export_model, model_files
    from avsv.jobs.provenance import MadeFrom

    made = MadeFrom(args.verb, {"model": model_files(args.model)}, {**result_options(args), "model": args.model})
    if made.is_current(args.out):
        return
    for one in export_model(args.model, args.out, args.format, args.input, args.license):
        log.info("%s: differs from the original by at most %.1e on 100 random inputs (limit %.0e)", one.path,
                 one.difference, one.bound)  # fmt: skip
    if args.out.is_dir():
        made.write_folder(args.out, sorted(p.name for p in args.out.iterdir() if p.is_file() and p.name[0] != "."))
    else:
        made.write(args.out)
