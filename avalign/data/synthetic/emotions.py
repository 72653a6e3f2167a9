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

__all__ = ["EMOTIONS", "Emotion"]


@dataclass(frozen=True, slots=True)
class Emotion:
    """Departures from neutral speech at full strength.

    Parameters
    ----------
    pitch, pitch_range, volume : float
        Added to those of the voice.
    pace : float
        Factor of the words per minute.
    articulation : float
        Factor of all movements of the mouth.
    opening, width, corners : float
        Added to these movements, in eye distances.
    nod_deg : float
        How far the head is lowered.
    restlessness : float
        Factor of the movements of the head.
    """

    pitch: float = 0.0
    pitch_range: float = 0.0
    volume: float = 0.0
    pace: float = 1.0
    articulation: float = 1.0
    opening: float = 0.0
    width: float = 0.0
    corners: float = 0.0
    nod_deg: float = 0.0
    restlessness: float = 1.0

    def voice(self, neutral: Voice, strength: float) -> Voice:
        """Say how a voice sounds in this emotion.

        Parameters
        ----------
        neutral : Voice
            The voice without emotion.
        strength : float
            0 for none, 1 for all of it.

        Returns
        -------
        Voice
            Within what espeak-ng can do.
        """
        return replace(
            neutral,
            words_per_minute=neutral.words_per_minute * _scaled(self.pace, strength),
            pitch=min(99.0, max(0.0, neutral.pitch + strength * self.pitch)),
            pitch_range=min(99.0, max(0.0, neutral.pitch_range + strength * self.pitch_range)),
            volume=min(180.0, max(20.0, neutral.volume + strength * self.volume)),
        )

    def movements(self, neutral: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
        """Say how a mouth moves in this emotion.

        Parameters
        ----------
        neutral : ndarray of shape (T, 6)
            Movements without emotion.
        strength : float
            0 for none, 1 for all of it.

        Returns
        -------
        ndarray of shape (T, 6)
            Lips that close still close.
        """
        moved = neutral * _scaled(self.articulation, strength)
        closed = np.exp(-np.maximum(neutral[:, 0], 0.0) / 0.02)
        moved[:, 0] += strength * self.opening * (1.0 - closed)
        moved[:, 2] += strength * self.width
        moved[:, 5] += strength * self.corners
        return moved

    def agitation(self, strength: float) -> float:
        """Say how much more the head moves than without emotion.

        Parameters
        ----------
        strength : float
            0 for none, 1 for all of it.

        Returns
        -------
        float
            A factor.
        """
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
