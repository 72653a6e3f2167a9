"""What the ablation measures: misalignments, aligners, noise, and the size of it all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from avalign.types import TimeWarp

__all__ = [
    "ALIGNERS",
    "AUDIO_ALONE",
    "BASELINES",
    "CLEAN",
    "LAGS_MS",
    "LIPS_ALONE",
    "MISALIGNMENTS",
    "PRIMARY",
    "Plan",
    "Scene",
    "planted_warp",
]

# Of the noise, as a name and as what mixes it: None is no noise.
CLEAN: float | None = None
LAGS_MS = (-480, -320, -160, -80, 80, 160, 320, 480)
MISALIGNMENTS = ("in_sync", *(f"lag{lag:+d}" for lag in LAGS_MS), "drift", "warp")
ALIGNERS = ("none", "lag_search", "raw_dtw", "shared_dtw", "oracle")
GATE_SNRS = (None, 15.0, 10.0, 5.0, 0.0, -5.0, -10.0)
# Single streams through the same head: what a missing stream is compared with.
AUDIO_ALONE, LIPS_ALONE = "audio_alone", "lips_alone"
BASELINES = {AUDIO_ALONE: ("audio",), LIPS_ALONE: ("lips",)}

DRIFT = 0.03
# The smooth warp: a lag of up to this that wanders, at a pace of up to this fraction.
WARP_LAG_S, WARP_PACE = 0.2, 0.2
WARP_PERIODS_S = (2.0, 4.0)
_KNOTS_S = 0.05


@dataclass(frozen=True, slots=True)
class Scene:
    """What a model is given: sound in noise, moved, aligned again, or missing.

    Parameters
    ----------
    misalignment : str
        One of `MISALIGNMENTS`: how the sound's clock was moved.
    aligner : str
        One of `ALIGNERS`: what brought it back.
    snr_db : float or None
        Level of the babble; None is clean.
    streams : tuple of str
        What the model is given.
    """

    misalignment: str = "in_sync"
    aligner: str = "none"
    snr_db: float | None = 0.0
    streams: tuple[str, ...] = ("audio", "lips")

    @property
    def noise(self) -> str:
        """The noise in a word."""
        return "clean" if self.snr_db is None else f"{self.snr_db:g}dB"

    @property
    def rows_key(self) -> str:
        """Name of the encoded rows, which do not depend on what the model is given."""
        return f"{self.misalignment}/{self.aligner}/{self.noise}"

    @property
    def key(self) -> str:
        """Name in results."""
        return f"{self.rows_key}/{'+'.join(self.streams)}"


# What families are ranked by.
PRIMARY = Scene()


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Parameters
    ----------
    families : tuple of str
        Fusion families.
    seeds : int
        How often each is trained.
    steps : int
        Batches each training takes.
    versions : int
        Disturbed versions of each training clip that are encoded; the first is clean.
    quick : bool
        Leave out conditions that the main results do without.
    seed : int
        Of noise and planted warps.
    batch_size, learning_rate, missing_share
        Of the training: clips in a batch, highest rate of AdamW, fraction of the streams
        that are hidden.
    device : str
        Where families are trained.
    """

    families: tuple[str, ...]
    seeds: int = 3
    steps: int = 300
    versions: int = 6
    quick: bool = False
    seed: int = 0
    batch_size: int = 16
    learning_rate: float = 3e-3
    missing_share: float = 0.25
    device: str = "cpu"

    @cached_property
    def scenes(self) -> tuple[Scene, ...]:
        """Every scene, each once."""
        in_sync = [Scene(snr_db=level) for level in GATE_SNRS]
        missing = [Scene(snr_db=level, streams=("audio",)) for level in (None, 0.0, -5.0)]
        missing.append(Scene(snr_db=CLEAN, streams=("lips",)))
        aligned: list[Scene] = []
        for level in (None, 0.0, -5.0):
            for misalignment in MISALIGNMENTS:
                for aligner in ALIGNERS:
                    if aligner == "oracle" and misalignment == "in_sync":
                        continue
                    if self._wanted(misalignment, aligner, level):
                        aligned.append(Scene(misalignment, aligner, level))
        return tuple(dict.fromkeys([*in_sync, *missing, *aligned]))

    def _wanted(self, misalignment: str, aligner: str, snr_db: float | None) -> bool:
        if not self.quick:
            return True
        if snr_db == 0.0:
            core = ("in_sync", "lag-320", "lag+320", "drift", "warp")
            return aligner == "none" or misalignment in core
        return misalignment in ("in_sync", "lag+320")

    @property
    def models(self) -> tuple[tuple[str, int], ...]:
        """What is trained, seed after seed, so that an early end leaves all families equal."""
        names = (*BASELINES, *self.families)
        return tuple((name, seed) for seed in range(self.seeds) for name in names)


def planted_warp(misalignment: str, duration_s: float, random: np.random.Generator) -> TimeWarp:
    """Move the sound's clock against the picture's.

    Parameters
    ----------
    misalignment : str
        One of `MISALIGNMENTS`.
    duration_s : float
        Length of the clip.
    random : Generator
        Draws the smooth warp.

    Returns
    -------
    TimeWarp
        From the picture's clock to the clock of the moved sound.
    """
    if misalignment == "in_sync":
        return TimeWarp(np.zeros(1), np.zeros(1))
    if misalignment.startswith("lag"):
        return TimeWarp(np.zeros(1), np.array([int(misalignment[3:]) / 1000]))
    if misalignment == "drift":
        ends_s = np.array([0.0, duration_s])
        return TimeWarp(ends_s, ends_s * (1 + DRIFT))
    times_s = np.arange(0.0, duration_s + _KNOTS_S, _KNOTS_S)
    period_s, phase = random.uniform(*WARP_PERIODS_S), random.uniform(0, 2 * np.pi)
    wave_s = WARP_PACE * period_s / (2 * np.pi) * np.sin(2 * np.pi * times_s / period_s + phase)
    return TimeWarp(times_s, times_s + random.uniform(-WARP_LAG_S, WARP_LAG_S) + wave_s)
