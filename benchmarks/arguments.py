"""Kinds of arguments that several benchmarks take."""

import argparse


def count(text: str) -> int:
    """A number of rounds, seeds, pictures or trials: one at least.

    Raises:
        ArgumentTypeError: Where it is none.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, not {text!r}")
    return number
