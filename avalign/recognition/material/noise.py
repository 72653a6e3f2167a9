"""Noise for training and for tests: babble, white, recorded, at an exact SNR on the waveform.

Babble comes from the training speakers only, so that no voice of a test is heard before
it. All chance comes from the generator that is passed in: same generator, same noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class Noise(Protocol):
    """Anything that can be drawn as long as an utterance."""

    def draw(
        self, length: int, random: np.random.Generator, *, speaker: str = "", name: str = ""
    ) -> NDArray[np.float32]:
        """Draw noise to be laid under an utterance.

        Parameters
        ----------
        length : int
            Samples wanted.
        random : Generator
            Source of chance.
        speaker, name : str
            Who speaks the utterance, and which it is: it is never its own noise.

        Returns
        -------
        ndarray of shape (length,), float32
            The noise, at any level.
        """
        ...


@dataclass(frozen=True, slots=True)
class WhiteNoise:
    """Gaussian noise, equally strong at all frequencies."""

    def draw(  # noqa: D102 (as in `Noise`)
        self, length: int, random: np.random.Generator, *, speaker: str = "", name: str = ""
    ) -> NDArray[np.float32]:
        return random.standard_normal(length, np.float32)


@dataclass(frozen=True, slots=True)
class RecordedNoise:
    """Pieces cut from recordings at the utterances' rate; a short recording is repeated."""

    recordings: Sequence[NDArray[np.float32]]

    def __post_init__(self) -> None:
        if not self.recordings:
            raise ParameterError("no recording of noise", "name at least one")
        for number, recording in enumerate(self.recordings):
            if not np.any(recording):
                raise ParameterError(f"recording {number} of noise is silent", "leave it out")

    def draw(  # noqa: D102 (as in `Noise`)
        self, length: int, random: np.random.Generator, *, speaker: str = "", name: str = ""
    ) -> NDArray[np.float32]:
        recording = self.recordings[int(random.integers(len(self.recordings)))]
        return _piece(recording, length, random)


@dataclass(frozen=True, slots=True)
class Babble:
    """Several other speakers at once, each at the same power.

    Where a corpus has one speaker only, the voices are of other utterances. With `fewest`, the
    number of voices is drawn from that to `count` for every utterance.
    """

    voices: Sequence[NDArray[np.float32]]
    speakers: Sequence[str]
    names: Sequence[str]
    count: int = 6
    fewest: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= (self.count if self.fewest is None else self.fewest) <= self.count:
            raise ParameterError(
                f"babble of {self.fewest or self.count} to {self.count} voices",
                "choose 1 or more",
            )
        if len(self.names) != len(set(self.names)):
            raise ParameterError(
                "two utterances for babble have one name", "give each its own name"
            )
        heard = sum(bool(np.any(voice)) for voice in self.voices)
        if heard < 2:
            raise ParameterError(
                f"babble needs two utterances with sound, there are {heard}",
                "train on more clips, or use white noise",
            )

    def draw(  # noqa: D102 (as in `Noise`)
        self, length: int, random: np.random.Generator, *, speaker: str = "", name: str = ""
    ) -> NDArray[np.float32]:
        others = [
            number
            for number, (who, which) in enumerate(zip(self.speakers, self.names, strict=True))
            if which != name and who != speaker
        ] or [number for number, which in enumerate(self.names) if which != name]
        fewest = self.count if self.fewest is None else self.fewest
        count = int(random.integers(fewest, self.count + 1))
        chosen = random.choice(others, count, replace=count > len(others))
        babble = np.zeros(length, np.float32)
        for number in chosen:
            piece = _piece(self.voices[int(number)], length, random)
            power = _power(piece)
            if power > 0:
                babble += piece / np.float32(np.sqrt(power))
        return babble


def mix_at_snr(
    samples: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> NDArray[np.float32]:
    """Add noise so that the ratio of the mean powers is exactly what is asked.

    Parameters
    ----------
    samples : ndarray of shape (N,), float32
        The utterance.
    noise : ndarray of shape (N,), float32
        Noise at any level.
    snr_db : float
        Power of `samples` over power of the added noise, in decibels.

    Returns
    -------
    ndarray of shape (N,), float32
        The mixture. Where utterance or noise are silent there is no such ratio, and
        the utterance comes back as it was.

    Raises
    ------
    ParameterError
        If the shapes differ or the ratio is not finite.
    """
    if samples.shape != noise.shape or samples.ndim != 1:
        raise ParameterError(
            f"samples of shape {samples.shape} and noise of shape {noise.shape}",
            "pass one channel of each, equally long",
        )
    if not np.isfinite(snr_db):
        raise ParameterError(f"an SNR of {snr_db} dB", "choose a finite number")
    signal_power, noise_power = _power(samples), _power(noise)
    if signal_power == 0.0 or noise_power == 0.0:
        return samples
    gain = np.sqrt(signal_power / noise_power) * 10.0 ** (-snr_db / 20.0)
    return samples + np.float32(gain) * noise


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0


def _piece(
    recording: NDArray[np.float32], length: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """Cut a piece from a random place; a recording that ends goes on from its start."""
    if not len(recording):
        return np.zeros(length, np.float32)
    if len(recording) >= length:
        start = int(random.integers(len(recording) - length + 1))
        return recording[start : start + length]
    start = int(random.integers(len(recording)))
    return np.resize(np.roll(recording, -start), length)
