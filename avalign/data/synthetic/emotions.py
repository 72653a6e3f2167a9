"""What an acted emotion does to voice, mouth and head.

The streams hold lips and chin only, so there are no brows here. The directions are those of
the literature on vocal expression; the amounts are made up, and nothing that is learnt from
them holds for people.

References
----------
.. [1] K. R. Scherer, "Vocal communication of emotion: a review of research paradigms",
   Speech Communication 40, 2003.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.data.synthetic.speech import Voice


@dataclass(frozen=True, slots=True)
class Emotion:
    """Departures from neutral speech at full strength."""

    pitch: float = 0.0  # added to the voice's
    pitch_range: float = 0.0  # added to the voice's
    volume: float = 0.0  # added to the voice's
    pace: float = 1.0  # factor of the words per minute
    articulation: float = 1.0  # factor of all movements of the mouth
    opening: float = 0.0  # added, in eye distances
    width: float = 0.0  # added, in eye distances
    corners: float = 0.0  # added, in eye distances
    nod_deg: float = 0.0  # how far the head is lowered
    restlessness: float = 1.0  # factor of the movements of the head

    def voice(self, neutral: Voice, strength: float) -> Voice:
        """Change a neutral voice by a strength of 0 to 1, within what espeak-ng can do."""
        return replace(
            neutral,
            words_per_minute=neutral.words_per_minute * _scaled(self.pace, strength),
            pitch=min(99.0, max(0.0, neutral.pitch + strength * self.pitch)),
            pitch_range=min(99.0, max(0.0, neutral.pitch_range + strength * self.pitch_range)),
            volume=min(180.0, max(20.0, neutral.volume + strength * self.volume)),
        )

    def movements(self, neutral: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
        """Change neutral movements [T, 6] by a strength of 0 to 1; closed lips stay so."""
        moved = neutral * _scaled(self.articulation, strength)
        closed = np.exp(-np.maximum(neutral[:, 0], 0.0) / 0.02)
        moved[:, 0] += strength * self.opening * (1.0 - closed)
        moved[:, 2] += strength * self.width
        moved[:, 5] += strength * self.corners
        return moved

    def agitation(self, strength: float) -> float:
        """Compute the factor of the head's movements at a strength of 0 to 1."""
        return _scaled(self.restlessness, strength)


def _scaled(factor: float, strength: float) -> float:
    return 1.0 + strength * (factor - 1.0)


EMOTIONS: Mapping[str, Emotion] = MappingProxyType(
    {
        "neutral": Emotion(),
        "anger": Emotion(8, 25, 50, 1.12, 1.3, 0.03, -0.01, -0.02, 4.0, 1.8),
        "disgust": Emotion(-10, -5, 0, 0.88, 0.9, -0.01, -0.02, -0.035, -4.0, 1.0),
        "fear": Emotion(25, -15, -10, 1.25, 0.85, 0.03, 0.03, -0.01, -2.0, 1.5),
        "happy": Emotion(18, 30, 15, 1.08, 1.15, 0.02, 0.05, 0.045, -2.0, 1.4),
        "sad": Emotion(-12, -30, -35, 0.78, 0.75, -0.01, -0.015, -0.04, 8.0, 0.5),
    }
)
