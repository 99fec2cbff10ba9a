"""Options that several verbs of this system share."""

import argparse
from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_detection_threshold, add_device, not_negative


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="an exp/ folder of task syncnet or coupled_cnn")
    add_device(parser)


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Options of the verbs that read single videos."""
    add_model(parser)
    parser.add_argument("--face", required=True, metavar="PACK", help="an InsightFace pack, or an exp/ folder")
    add_detection_threshold(parser)
    add_audio_track(parser)


def add_largest_offset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--largest", type=not_negative, default=0.6, metavar="SECONDS", help="largest offset to search (0.6)"
    )


def load_video_models(args: argparse.Namespace):
    """The embedder and the face detector that `add_video_options` names."""
    from avsv.features.face_pack import load_pack
    from avsv.systems.synchrony.embedding import make_synchrony_embedder

    detector = load_pack(args.face, args.device, ("detection",)).detection
    return make_synchrony_embedder(args.model, args.device), detector
