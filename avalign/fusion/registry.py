"""Every fusion family, by name; importing this costs no torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avalign.fusion.interface import Fusion

__all__ = ["FAMILIES", "Family", "build_fusion", "family", "list_fusions"]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of fusion.

    Attributes
    ----------
    name : str
        What `build_fusion` calls it; its file has the same name unless `home` says so.
    row : str
        Row of the table of methods, such as "F1".
    title : str
        What people call it.
    source : str
        Who described it, and where.
    when : str
        When to use it, in a sentence.
    home : str
        Where its class is: "module:Class", inside avalign.fusion.
    """

    name: str
    row: str
    title: str
    source: str
    when: str
    home: str

    def load(self) -> type[Fusion]:
        """Import the class.

        Returns
        -------
        type
            Subclass of `Fusion`.
        """
        module, _, name = self.home.partition(":")
        loaded: type[Fusion] = getattr(
            importlib.import_module(f"avalign.fusion.{module}"), name
        )
        return loaded


FAMILIES = (
    Family(
        "early",
        "F1",
        "Early fusion (concatenation of features)",
        "S. Dupont and J. Luettin, IEEE Transactions on Multimedia 2(3), 2000",
        "The first thing to try: streams are aligned, rarely missing, and clean.",
        "early:EarlyFusion",
    ),
)


def list_fusions() -> tuple[str, ...]:
    """Names of all families.

    Returns
    -------
    tuple of str
        In the order of the table of methods.
    """
    return tuple(entry.name for entry in FAMILIES)


def family(name: str) -> Family:
    """Look a family up.

    Parameters
    ----------
    name : str
        One of `list_fusions`.

    Returns
    -------
    Family
        Its entry.

    Raises
    ------
    ParameterError
        If there is no such family.
    """
    for entry in FAMILIES:
        if entry.name == name:
            return entry
    close = difflib.get_close_matches(str(name), list_fusions(), n=1)
    raise ParameterError(
        f"there is no fusion family {name!r}",
        f"did you mean {close[0]!r}?"
        if close
        else f"choose one of {', '.join(list_fusions())}",
    )


def build_fusion(name: str, dims: Mapping[str, int], out_dim: int, **options: object) -> Fusion:
    """Build a family.

    Parameters
    ----------
    name : str
        One of `list_fusions`.
    dims : mapping of str to int
        Width of each stream, such as ``{"audio": 39, "lips": 120}``.
    out_dim : int
        Width of the fused rows.
    **options
        What the family's class takes beside.

    Returns
    -------
    Fusion
        A plain ``torch.nn.Module``.

    Raises
    ------
    ParameterError
        If there is no such family or option, or a width is not a positive integer.

    Examples
    --------
    >>> from avalign.fusion import build_fusion
    >>> fusion = build_fusion("early", dims={"audio": 39, "lips": 120}, out_dim=128)
    """
    built = family(name).load()
    known = [
        key for key in inspect.signature(built).parameters if key not in ("dims", "out_dim")
    ]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ParameterError(
            f"fusion {name!r} has no option {unknown[0]!r}",
            f"its options are {', '.join(known)}" if known else "it has no options",
        )
    return built(dims, out_dim, **options)
