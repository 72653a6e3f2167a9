"""An entry of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass

from avalign.types import MethodEntry


@dataclass(frozen=True, slots=True)
class Method(MethodEntry):
    """One method, how it is called, and how well it does.

    Parameters
    ----------
    row, name, title, when, source, home : str
        As in `MethodEntry`.
    snippet : str
        Python that runs as it stands, without files.
    rank : int or None
        Its place among the methods of its kind, from 1; None where none was measured.
    measured : str
        What the rank rests on; empty without one.
    """

    snippet: str = ""
    rank: int | None = None
    measured: str = ""
