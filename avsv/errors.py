"""The one exception for what a user can put right."""


class UserError(Exception):
    """The input is wrong; the message says which file, which line, what was expected and what to do.

    `avsv` prints the message without a traceback and exits 1.
    """
