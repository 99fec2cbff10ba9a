"""Types and actions of arguments that several commands share; no command itself."""

import argparse


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no whole number from 1 on')
    return int(text)


def prior(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is no number between 0 and 1')
    return value


class Files(argparse.Action):
    """An option with several files that may stand right before OUT: argparse gives it OUT too (see take_out)."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, values)
        namespace.last_files = values


def add_out(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("out", nargs="?", metavar="OUT", help=help)
    parser.set_defaults(last_files=None, fail=parser.error)


def take_out(args: argparse.Namespace) -> None:
    """Give OUT its value where the option before it took it."""
    if args.out is None:
        if not args.last_files or len(args.last_files) < 2:
            args.fail("the following arguments are required: OUT")
        args.out = args.last_files.pop()


class Priors(argparse.Action):
    """`--p-target 0.01 0.05 SCORES ...`: what follows the numbers is kept under the name `rest`."""

    def __init__(self, *args, rest: str, **kwargs):
        super().__init__(*args, **kwargs)
        self.rest = rest

    def __call__(self, parser, namespace, values, option_string=None):
        numbers = []
        while values and is_number(values[0]):
            numbers.append(values.pop(0))
        try:
            setattr(namespace, self.dest, [prior(text) for text in numbers or values])
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option_string}: {error}")
        setattr(namespace, self.rest, values)


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
