"""How the families did against each other, as the ablation measured it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RANKS_NAME = "ranks.json"


@dataclass(frozen=True, slots=True)
class Rank:
    """The place of one family: word error rate in percent with its 95 % interval."""

    place: int
    of: int
    error: float
    low: float
    high: float
    test: str

    def __str__(self) -> str:
        return (
            f"{self.place} of {self.of}: {self.error:.1f} % [{self.low:.1f}, {self.high:.1f}] "
            f"word errors ({self.test})"
        )


@cache
def read_ranks() -> Mapping[str, Rank]:
    """Read the ranks that this version comes with.

    Returns
    -------
    mapping of str to Rank
        By family; empty where none were measured.
    """
    file = resources.files("avalign.fusion") / RANKS_NAME
    if not file.is_file():
        return MappingProxyType({})
    stored = json.loads(file.read_text(encoding="utf-8"))
    families = stored["families"]
    return MappingProxyType(
        {
            name: Rank(of=len(families), test=stored["test"], **found)
            for name, found in families.items()
        }
    )
