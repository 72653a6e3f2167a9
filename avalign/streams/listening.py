"""What the audio tracks of a file hold: speech, channel by channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import MediaError, NoAudioError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types import AudioTrack, MediaClip

# What is chosen is told by so much of the file.
LOOKED_AT_S = 60.0
RATE_HZ = 16000
# Channels that sound this much alike for so long hold the same voice.
ALIKE = 0.9
ALIKE_FOR_S = 5.0
# Less speech than this is chance.
LEAST_SPEECH_S = 0.5
# A track with this fraction of the most speech, or the most faces, is as good as the best.
AS_GOOD = 0.5
# Softer than this in decibels of full scale, a channel adds nothing to the others.
SILENCE_DB = -65.0


def has_codec(track: AudioTrack) -> bool:
    """Tell whether a decoder is known for a track."""
    return track.sample_rate_hz > 0


@dataclass(frozen=True, slots=True, eq=False)
class AudioContent:
    """What the first minute of an audio track holds, channel by channel."""

    # `alike`: all channels hold the same, so they were not looked into.

    speech_s: float
    by_channel: tuple[float, ...]
    loud: tuple[bool, ...]
    front: int | None
    alike: bool = False

    def spoken_channels(self) -> list[int]:
        """Return the channels with about as much speech as any."""
        if self.speech_s < LEAST_SPEECH_S:
            return []
        least_s = AS_GOOD * self.speech_s
        return [each for each, spoken_s in enumerate(self.by_channel) if spoken_s >= least_s]

    def channel(self) -> int | None:
        """Return the channel to listen to; None for the average of all."""
        spoken = self.spoken_channels()
        if self.alike or not spoken:
            return None
        if self.front is not None and self.front in spoken:
            return self.front
        if all(each in spoken for each, loud in enumerate(self.loud) if loud):
            return None
        return max(spoken, key=lambda each: self.by_channel[each])


ALL_ALIKE = AudioContent(LOOKED_AT_S, (), (), None, alike=True)


def listen_to(clip: MediaClip, among: Iterable[int]) -> dict[int, AudioContent]:
    """Listen to the first minute of sound tracks."""
    among = list(among)
    contents = {}
    for track in among:
        try:
            # Of one track with one voice only the channels are in question.
            contents[track] = _listen(clip, track, alone=len(among) == 1)
        except (MediaError, NoAudioError):
            continue  # nothing of it can be decoded
    return contents


def _listen(clip: MediaClip, track: int, *, alone: bool) -> AudioContent:
    from avalign.media import iter_channels

    layout = clip.audio_tracks[track].channel_names
    pieces: list[NDArray[np.float32]] = []
    length, compared = 0, not alone
    for block in iter_channels(clip.path, track=track, rate_hz=RATE_HZ):
        pieces.append(block)
        length += block.shape[1]
        if not compared and length >= ALIKE_FOR_S * RATE_HZ:
            compared = True
            if _is_alike(np.concatenate(pieces, axis=1)):
                return ALL_ALIKE
        if length >= LOOKED_AT_S * RATE_HZ:
            break
    samples = np.concatenate(pieces, axis=1)
    if not compared and _is_alike(samples):
        return ALL_ALIKE
    by_channel = tuple(_speech_s(channel) for channel in samples)
    power = np.mean(samples.astype(np.float64) ** 2, axis=1) + 1e-12
    return AudioContent(
        max(by_channel, default=0.0),
        by_channel,
        tuple((10.0 * np.log10(power) > SILENCE_DB).tolist()),
        layout.index("FC") if "FC" in layout and len(layout) > 2 else None,
    )


def _is_alike(samples: NDArray[np.float32]) -> bool:
    """Tell whether all channels hold nearly the same sound."""
    centred = samples - samples.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    if not norms.all():
        return False
    first, *rest = centred / norms[:, None]
    return all(float(first @ other) > ALIKE for other in rest)


def _speech_s(samples: NDArray[np.float32]) -> float:
    from avalign.audio import MfccSettings, speech_activity
    from avalign.types import AudioStream

    speech = speech_activity(AudioStream(np.clip(samples, -1, 1), RATE_HZ, 0.0))
    return float(np.count_nonzero(speech.values > 0.5)) * MfccSettings().hop_s
