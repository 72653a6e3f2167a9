"""The options of ``python -m benchmarks dtw``."""

from __future__ import annotations

import argparse


def add_dtw_options(command: argparse.ArgumentParser) -> None:
    """Declare the options, but for the folder of the results.

    Parameters
    ----------
    command : argparse.ArgumentParser
        To add them to.
    """
    command.add_argument("--quick", action="store_true", help="about two minutes")
    command.add_argument(
        "--only",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="workloads by name or letter, such as a,c-5000; no scaling, no cold start",
    )
    command.add_argument(
        "--peers",
        type=lambda text: text.split(","),
        metavar="LIBRARY,...",
        help="compare with these only, by the name they are installed by",
    )
    command.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="also time avalign on N"
    )
    command.add_argument("--avx2", action="store_true", help="keep Numba from AVX-512")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
