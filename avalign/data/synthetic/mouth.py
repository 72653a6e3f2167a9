"""Mouths over time: the targets of phones, blended by their weights.

References
----------
.. [1] M. M. Cohen, D. W. Massaro, "Modeling coarticulation in synthetic visual speech", in
   Models and Techniques in Computer Animation, Springer, 1993 (dominance functions).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from avalign.data.synthetic.speech import STOPS
from avalign.data.synthetic.visemes import REST, Viseme, find_visemes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from avalign.data.synthetic.speech import Phone

# How fast a target loses its say outside of its span. Lips prepare for a phone longer than
# they keep to it. These and `HELD` are chosen so that the shared space, which learnt from
# real faces, finds next to no lag where there is none.
BEFORE_S, AFTER_S = 0.06, 0.03
# Part of a phone in which its target rules.
HELD = (0.1, 0.6)
# Stops rule from the first instant of their closure to their burst.
HELD_STOP = (0.0, 0.6)
# A mouth rests in pauses longer than this, but for as much at either end.
PAUSE_S, SETTLING_S = 0.2, 0.12


def mouth_movements(
    phones: Sequence[Phone], times_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Move a mouth by the phones: [T, 6], see `MOVEMENTS`; the corners stay where they are."""
    spans = [*_spoken_spans(phones), *_resting_spans(phones)]
    begin_s, end_s = (np.array([span[side] for span in spans]) for side in (0, 1))
    targets = np.array([_target(viseme) for _, _, viseme in spans])
    strengths = np.array([_weights(viseme) for _, _, viseme in spans])
    before_s = np.maximum(begin_s - times_s[:, None], 0.0)
    after_s = np.maximum(times_s[:, None] - end_s, 0.0)
    reach = np.array([viseme.reach for _, _, viseme in spans])
    fading = before_s / (BEFORE_S * reach) + after_s / (AFTER_S * reach)
    weights = np.exp(-fading)[:, :, None] * strengths
    blended: NDArray[np.float64] = (weights * targets).sum(axis=1) / weights.sum(axis=1)
    return blended


def _spoken_spans(phones: Sequence[Phone]) -> Iterator[tuple[float, float, Viseme]]:
    for phone in phones:
        visemes = find_visemes(phone.symbol)
        from_fraction, to_fraction = HELD_STOP if phone.symbol in STOPS else HELD
        length_s = (phone.end_s - phone.start_s) / len(visemes)
        for number, viseme in enumerate(visemes):
            start_s = phone.start_s + number * length_s
            yield start_s + from_fraction * length_s, start_s + to_fraction * length_s, viseme


def _resting_spans(phones: Sequence[Phone]) -> Iterator[tuple[float, float, Viseme]]:
    ends_s = [-math.inf, *(phone.end_s for phone in phones)]
    starts_s = [*(phone.start_s for phone in phones), math.inf]
    for end_s, start_s in zip(ends_s, starts_s, strict=True):
        if start_s - end_s > PAUSE_S:
            yield end_s + SETTLING_S, max(start_s - SETTLING_S, end_s + SETTLING_S), REST


def _target(viseme: Viseme) -> tuple[float, ...]:
    return viseme.opening, viseme.jaw, viseme.width, viseme.protrusion, viseme.tuck, 0.0


def _weights(viseme: Viseme) -> tuple[float, ...]:
    # The jaw carries the tongue, too, so the lips' firmness moves it little.
    jaw = math.sqrt(viseme.firmness)
    return viseme.firmness, jaw, viseme.rounding, viseme.rounding, viseme.firmness, 1.0
