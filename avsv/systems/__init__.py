"""Further systems, one folder each: networks, losses, training, evaluation and commands.

The main system imports none of them. The first line of a system's `__init__.py` is the heading of its verbs in
`avsv --help`; its dictionary TASKS lists the networks that `avsv train` can train, like `avsv.training.tasks.TASKS`.
"""
