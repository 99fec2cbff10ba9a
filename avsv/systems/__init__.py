"""Further systems, one folder each: networks, losses, training, evaluation and commands.

The main system imports none of them. The first line of a system's `__init__.py` heads its verbs in `avsv --help`. A
dictionary TASKS there lists the networks that `avsv train` can train, in the form of `avsv.training.tasks.TASKS`.
"""
