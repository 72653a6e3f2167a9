"""The whole table, in order, and how a method is found in it."""

from __future__ import annotations

from types import MappingProxyType

from avalign.catalogue.alignment import METHODS as ALIGNMENT
from avalign.catalogue.entry import Method
from avalign.catalogue.fusion import METHODS as FUSION
from avalign.catalogue.insight import METHODS as INSIGHT
from avalign.catalogue.missing import METHODS as MISSING
from avalign.catalogue.representation import METHODS as REPRESENTATION
from avalign.catalogue.tasks import METHODS as TASKS
from avalign.errors import ParameterError
from avalign.types import closest_names

_GROUPS = MappingProxyType(
    {
        "Representation: the shared space": REPRESENTATION,
        "Alignment": ALIGNMENT,
        "Fusion": FUSION,
        "Missing and unequal streams": MISSING,
        "Seeing inside": INSIGHT,
        "Tasks, metrics, deployment": TASKS,
    }
)


def list_methods() -> dict[str, tuple[Method, ...]]:
    """List every method.

    Returns
    -------
    dict of str to tuple of Method
        By group, in the order of the table.
    """
    return dict(_GROUPS)


def find_method(name: str) -> tuple[Method, ...]:
    """Look a method up.

    Parameters
    ----------
    name : str
        Its name, such as ``"gmu"``, or its row, such as ``"F14"``; case does not matter.

    Returns
    -------
    tuple of Method
        One method, or all those of a row.

    Raises
    ------
    ParameterError
        If there is none.
    """
    every = [method for group in _GROUPS.values() for method in group]
    wanted = name.strip().casefold().replace("_", "-")
    found = tuple(
        method
        for method in every
        if wanted in (method.name.replace("_", "-"), method.row.casefold())
    )
    if found:
        return found
    guess = wanted.replace("-", "_")
    close = closest_names(every, guess, 3)
    close = close or [method.name for method in every if guess in method.name][:3]
    raise ParameterError(
        f"there is no method {name!r}",
        f"did you mean {' or '.join(close)}?" if close else "avalign methods lists all",
    )
