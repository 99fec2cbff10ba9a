"""avsv train: train a voice encoder, a face encoder or a fusion network from a configuration.

What is trained is written to the configuration's exp_dir, with the configuration, versions, log and checkpoint. A
training that was stopped goes on where it was; one that is complete is not done again.

example:
  avsv train conf/voice.yaml
  avsv train conf/voice.yaml epochs=20 optimizer.lr=0.002 exp_dir=exp/voice_slow
"""

import importlib
from pathlib import Path

TASKS = {
    "voice": ("voice", "VoiceConfig", "train_voice"),
    "face": ("face", "FaceConfig", "train_face"),
    "face_detector": ("face_detector", "FaceDetectorConfig", "train_face_detector"),
    "avn_e": ("fusion", "FusionConfig", "train_fusion"),
}


def add_arguments(parser):
    parser.add_argument("config", type=Path, help="YAML; its key `task` says what is trained")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the configuration")


def run(args):
    from avsv.errors import UserError
    from avsv.training.config import apply_schema, read_config

    given = read_config(args.config, args.overrides)
    task = given.get("task")
    if task not in TASKS:
        raise UserError(f'{args.config}: "task: {task}": expected one of {", ".join(TASKS)}')
    module, schema, train = TASKS[task]
    module = importlib.import_module(f"avsv.training.{module}")
    getattr(module, train)(apply_schema(given, getattr(module, schema), args.config))
