"""avsv train: train a voice encoder, a face encoder, a fusion or a synchrony network from a configuration.

What is trained is written to exp_dir of the configuration, with the configuration, versions, log, curves, checkpoints.
A training that was stopped goes on where it was; one that is complete is not done again, and a second one at the same
time waits for the first. --dry-run needs no data: it
makes steps on random numbers and tells parameters, memory and the time that the training would take on this machine.

example:
  avsv train conf/voice.yaml
  avsv train conf/voice.yaml epochs=20 optimizer.lr=0.002 exp_dir=exp/voice_slow
  avsv train conf/voice.yaml --dry-run batch_size=64
  torchrun --standalone --nproc-per-node 4 --no-python avsv train conf/voice.yaml      # 4 GPUs, one process each
"""

import importlib
import os
from pathlib import Path

from avsv.commands._arguments import at_least_one

INTERMIXED = True  # key=value may stand before and after options
TASKS = {
    "voice": ("voice", "VoiceConfig", "train_voice"),
    "face": ("face", "FaceConfig", "train_face"),
    "face_detector": ("face_detector", "FaceDetectorConfig", "train_face_detector"),
    "face_pool": ("face_pool", "FacePoolConfig", "train_face_pool"),
    "avn_e": ("fusion", "FusionConfig", "train_fusion"),
    "avn_f": ("avn_f", "AvnFConfig", "train_avn_f"),
    "avn_j": ("avn_j", "AvnJConfig", "train_avn_j"),
    "coupled_cnn": ("synchrony", "SynchronyConfig", "train_synchrony"),
    "syncnet": ("synchrony", "SynchronyConfig", "train_synchrony"),
    "association": ("association", "AssociationConfig", "train_association"),
    "association_media": ("association_media", "AssociationMediaConfig", "train_association_media"),
    "voice_embedder": ("voice_embedder", "VoiceEmbedderConfig", "train_voice_embedder"),
    "voice_to_face": ("voice_to_face", "VoiceToFaceConfig", "train_voice_to_face"),
}


def add_arguments(parser):
    parser.add_argument("config", type=Path, help="YAML; its key `task` says what is trained")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the configuration")
    parser.add_argument(
        "--task", choices=TASKS, metavar="TASK", help="refuse a configuration of another task: for recipes"
    )
    parser.add_argument("--dry-run", action="store_true", help="train nothing: tell what it would cost")
    parser.add_argument("--allow-pipes", action="store_true", help="run the commands that wav.scp holds")
    parser.add_argument("--people", type=at_least_one, help="of a dry run (those of data_dir, or VoxCeleb2's 5994)")
    parser.add_argument("--clips", type=at_least_one, help="of a dry run (those of data_dir, or VoxCeleb2's 1092009)")


def run(args):
    from avsv.errors import UserError
    from avsv.files import one_at_a_time
    from avsv.training.config import apply_schema, read_config

    given = read_config(args.config, args.overrides)
    task = given.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise UserError(f'{args.config}: "task: {task}": expected one of {", ".join(TASKS)}')
    if args.task not in (None, task):
        raise UserError(f"{args.config}: is of task {task}; a configuration of task {args.task} is expected here")
    module, schema, train = TASKS[task]
    module = importlib.import_module(f"avsv.training.{module}")
    config = apply_schema(given, getattr(module, schema), args.config, args.allow_pipes)
    if args.dry_run:
        from avsv.training.dry_run import dry_run

        if not hasattr(module, "rehearse"):
            raise UserError(f"{args.config}: a dry run of task {task} is not to be had")
        for line in dry_run(config, module.rehearse, args.people, args.clips):
            print(line, flush=True)
    elif args.people or args.clips:
        raise UserError("--people and --clips go with --dry-run")
    elif (
        os.environ.get("RANK", "0") != "0"
    ):  # under torchrun: the first process holds the lock, and lets the others go on
        getattr(module, train)(config)
    else:
        with one_at_a_time(Path(config.exp_dir) / ".lock"):
            getattr(module, train)(config)
