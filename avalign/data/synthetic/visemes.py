"""Visemes: the targets of phones in eye distances, and their weights."""

# ruff: noqa: RUF001 - IPA is not Latin
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# What a mouth can do, in distances between the outer eye corners: the gap between the lips,
# how far the jaw drops, how much wider the mouth gets, how far lips come forward, how far
# the lower lip goes up and back under the teeth, how far the corners rise.
MOVEMENTS = ("opening", "jaw", "width", "protrusion", "tuck", "corners")


@dataclass(frozen=True, slots=True)
class Viseme:
    """The target of a phone; 0 is a mouth closed without effort, see `MOVEMENTS`."""

    opening: float
    jaw: float
    width: float = 0.0
    protrusion: float = 0.0
    tuck: float = 0.0
    firmness: float = 1.0  # of opening and tuck against neighbours; 1 cares little
    rounding: float = 1.0  # the same of width and protrusion
    reach: float = 1.0  # how far its weight goes beyond its span


REST = Viseme(0.0, 0.0, firmness=2.0, rounding=2.0)
NEUTRAL = Viseme(0.07, 0.04)
CLOSED = Viseme(0.0, 0.01, firmness=60.0, rounding=0.5, reach=0.3)
TUCKED = Viseme(0.015, 0.02, tuck=0.04, firmness=30.0, rounding=0.5, reach=0.4)
# IPA to viseme; the groups are those of speechreading: what looks alike is alike.
VISEMES: Mapping[str, Viseme] = MappingProxyType(
    dict.fromkeys("pbm", CLOSED)
    | dict.fromkeys("fv", TUCKED)
    | dict.fromkeys("θð", Viseme(0.06, 0.03, firmness=3.0))
    | dict.fromkeys("tdnlɾɬ", Viseme(0.06, 0.03))
    | dict.fromkeys("sz", Viseme(0.035, 0.01, width=0.012, firmness=4.0))
    | dict.fromkeys("ʃʒ", Viseme(0.06, 0.02, width=-0.035, protrusion=0.05, rounding=6.0))
    | dict.fromkeys("kgɡŋxhʔ", Viseme(0.08, 0.04, firmness=0.6, rounding=0.5))
    | dict.fromkeys("ɹr", Viseme(0.055, 0.03, width=-0.03, protrusion=0.03, rounding=4.0))
    | dict.fromkeys("wʍ", Viseme(0.025, 0.02, width=-0.06, protrusion=0.06, firmness=8.0,
                                rounding=12.0))
    | dict.fromkeys("j", Viseme(0.05, 0.02, width=0.015))
    | dict.fromkeys("i", Viseme(0.065, 0.02, width=0.028, firmness=3.0, rounding=4.0))
    | dict.fromkeys("ɪ", Viseme(0.085, 0.035, width=0.016, firmness=3.0, rounding=3.0))
    | dict.fromkeys("eɛ", Viseme(0.13, 0.065, width=0.012, firmness=4.0, rounding=3.0))
    | dict.fromkeys("æ", Viseme(0.17, 0.095, width=0.012, firmness=5.0, rounding=3.0))
    | dict.fromkeys("aɑ", Viseme(0.20, 0.12, width=-0.005, firmness=5.0, rounding=3.0))
    | dict.fromkeys("ʌɐ", Viseme(0.14, 0.08, firmness=4.0, rounding=2.0))
    | dict.fromkeys("əɚɜ", Viseme(0.09, 0.05, firmness=2.0))
    | dict.fromkeys("ɒɔ", Viseme(0.15, 0.10, width=-0.03, protrusion=0.03, firmness=4.0,
                                 rounding=6.0))
    | dict.fromkeys("o", Viseme(0.10, 0.07, width=-0.04, protrusion=0.045, firmness=4.0,
                                rounding=8.0))
    | dict.fromkeys("ʊ", Viseme(0.06, 0.035, width=-0.035, protrusion=0.04, firmness=3.0,
                                rounding=6.0))
    | dict.fromkeys("uʉ", Viseme(0.04, 0.025, width=-0.05, protrusion=0.055, firmness=5.0,
                                 rounding=10.0))
)  # fmt: skip


def find_visemes(symbol: str) -> tuple[Viseme, ...]:
    """Find the targets of an IPA phone, in order; an unknown phone is neutral."""
    known = tuple(VISEMES[character] for character in symbol if character in VISEMES)
    return known or (NEUTRAL,)
