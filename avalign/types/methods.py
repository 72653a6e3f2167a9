"""Entries of the tables of methods: found by name, imported when they are used."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """One method, and where it is.

    Parameters
    ----------
    row : str
        Its row in the table of methods, such as ``"R3"``; several may share one.
    name : str
        What it is called in code and on the command line, such as ``"cca"``.
    title : str
        What people call it.
    when : str
        When to use it, in a sentence.
    source : str
        Who described it, and where.
    home : str
        The object that implements it: ``"module:name"``.
    """

    row: str
    name: str
    title: str
    when: str
    source: str
    home: str

    def load(self) -> Any:
        """Import what implements the method.

        Returns
        -------
        object
            A class or a function.
        """
        module, _, name = self.home.partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found


Entry = TypeVar("Entry", bound=MethodEntry)


def find_entry(entries: Iterable[Entry], name: str) -> Entry | None:
    """Look an entry up by its name.

    Parameters
    ----------
    entries : iterable of MethodEntry
        Where to look.
    name : str
        The name.

    Returns
    -------
    MethodEntry or None
        The entry; None if there is none of that name.
    """
    return next((entry for entry in entries if entry.name == name), None)


def closest_names(entries: Iterable[MethodEntry], name: str, most: int = 1) -> list[str]:
    """Guess which entries were meant by a name that none of them has.

    Parameters
    ----------
    entries : iterable of MethodEntry
        What there is.
    name : str
        What was asked for.
    most : int, optional
        How many guesses are wanted.

    Returns
    -------
    list of str
        Names, the closest first; empty if none is close.
    """
    return difflib.get_close_matches(str(name), [entry.name for entry in entries], most)
