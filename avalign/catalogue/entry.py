"""What is told of one method."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

__all__ = ["Method"]


@dataclass(frozen=True, slots=True)
class Method:
    """One method, and where it is.

    Parameters
    ----------
    row : str
        Its row in the table of methods, such as ``"R3"``; several may share one.
    name : str
        What it is called on the command line, such as ``"cca"``.
    title : str
        What people call it.
    when : str
        When to use it, in a sentence.
    source : str
        Who described it, and where.
    home : str
        The object that implements it: ``"module:name"``.
    snippet : str
        Python that runs as it stands, without files.
    rank : int or None
        Its place among the methods of its kind, from 1; None where none was measured.
    measured : str
        What the rank rests on; empty without one.
    """

    row: str
    name: str
    title: str
    when: str
    source: str
    home: str
    snippet: str
    rank: int | None = None
    measured: str = ""

    def load(self) -> object:
        """Import what implements the method.

        Returns
        -------
        object
            A class or a function.
        """
        module, _, name = self.home.partition(":")
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found
