"""Options of ``python -m benchmarks fusion``."""

from __future__ import annotations

import argparse
from pathlib import Path

from avalign.processes import cores

__all__ = ["add_fusion_options"]


def add_fusion_options(parser: argparse.ArgumentParser) -> None:
    """Add the options.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    add = parser.add_argument
    add("--data", type=Path, required=True, help="manifest with the splits train and dev")
    add(
        "--output", "--out", dest="out", type=Path,
        default=Path("build/benchmarks/fusion"), help="folder of the run, which goes on there",
    )  # fmt: skip
    add("--cache", type=Path, help="folder for extracted clips")
    add(
        "--encoders", type=Path, metavar="DIR",
        help="a model that `avalign train speech` wrote (default: train one first)",
    )  # fmt: skip
    add("--encoder-epochs", type=_positive, default=40, metavar="N")
    add("--families", metavar="A,B,C", help="fusion families (default: all)")
    add("--seeds", type=_positive, metavar="N", help="trainings of each (default: 5; quick: 3)")
    add("--steps", type=_positive, metavar="N", help="of each training (900; quick: 300)")
    add(
        "--versions", type=_positive, default=6, metavar="N",
        help="disturbed versions of each training clip",
    )  # fmt: skip
    add("--quick", action="store_true", help="only the conditions of the main results")
    add(
        "--budget-minutes", type=float, metavar="M",
        help="begin no training that would end later than that, and say what was left out",
    )  # fmt: skip
    add("--clips", type=_positive, metavar="N", help="test on the first N clips of dev")
    add("--train-clips", type=_positive, metavar="N", help="learn from the first N of train")
    add("--seed", type=int, default=0, help="of noise and planted warps")
    add("--jobs", type=_positive, default=cores(), metavar="N", help="processes")
    add("--device", default="cpu", help="cpu (default), auto or cuda, for the families")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number
