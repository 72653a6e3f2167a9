"""Speakers, each a voice and a face, drawn by seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from avalign.data.synthetic.face import Face
from avalign.data.synthetic.speech import Voice

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCENTS = ("en", "en-us", "en-gb-x-rp", "en-gb-scotland")
VARIANTS = ("m1", "f2", "m3", "f3", "m7", "f4", "m4", "f1", "m2", "f5", "m5", "m8", "m6")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who speaks."""

    name: str  # such as "v01"
    voice: Voice
    face: Face
    articulation: float = 1.0  # factor of all movements of the mouth
    restlessness: float = 1.0  # factor of all movements of the head
    pose_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)  # yaw, pitch, roll


def draw_speakers(number: int, seed: int = 0) -> tuple[Speaker, ...]:
    """Draw speakers; the first 52 differ in accent or kind of voice, all in the rest."""
    voices = _voices(seed)
    return tuple(
        _draw(f"v{index + 1:02}", next(voices), np.random.default_rng([seed, index]))
        for index in range(number)
    )


def _voices(seed: int) -> Iterator[str]:
    """Go round through accents and kinds of voices, from a place that the seed chooses."""
    # Their numbers have no common divisor, so all pairs come up.
    for number in count(seed):
        yield f"{ACCENTS[number % len(ACCENTS)]}+{VARIANTS[number % len(VARIANTS)]}"


def _draw(name: str, voice: str, rng: np.random.Generator) -> Speaker:
    def about(middle: float, deviation: float) -> float:
        return float(middle + deviation * np.clip(rng.standard_normal(), -2, 2))

    return Speaker(
        name,
        Voice(
            voice,
            words_per_minute=about(150, 12),
            pitch=about(50, 8),
            pitch_range=about(50, 8),
        ),
        Face(
            mouth_width=about(0.54, 0.035),
            upper_lip=about(0.09, 0.015),
            lower_lip=about(0.13, 0.018),
            mouth_y=about(0.645, 0.02),
            chin_y=about(1.14, 0.04),
            depth=about(0.15, 0.015),
            skew=about(0.0, 0.006),
            eye_distance_px=about(85, 10),
            centre_px=(about(180, 10), about(120, 6)),
        ),
        articulation=about(1.0, 0.12),
        restlessness=about(1.0, 0.2),
        pose_deg=(about(0, 5), about(0, 4), about(0, 2)),
    )
