"""What a file holds: its tracks, and its sound as samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """One picture track of a file.

    Parameters
    ----------
    index : int
        Position among the *picture* tracks, from 0.
    codec : str
        Name of the codec.
    width, height : int
        Size in pixels as shown, after rotation.
    frame_rate : Fraction or None
        Average pictures per second; None where the file does not say.
    rotation_deg : int
        Clockwise rotation a player applies: 0, 90, 180 or 270.
    start_s : float
        Presentation time of the first picture.
    duration_s : float or None
        Length; None where the file does not say, or says more than a day.
    """

    index: int
    codec: str
    width: int
    height: int
    frame_rate: Fraction | None
    rotation_deg: int
    start_s: float
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """One sound track of a file.

    Parameters
    ----------
    index : int
        Position among the *sound* tracks, from 0; what ``--audio-track`` takes.
    codec : str
        Name of the codec.
    sample_rate_hz : int
        Audio samples per second.
    channels : int
        Number of channels.
    start_s : float
        Presentation time of the first sample a player lets you hear.
    duration_s : float or None
        Length; None where the file does not say, or says more than a day.
    language : str or None
        Language tag, where there is one.
    channel_names : tuple of str
        FFmpeg's name of each channel, such as ``"FC"`` for the one in the centre in front.
    dispositions : tuple of str
        What the file says the track is for, such as ``"default"`` or ``"comment"``.
    """

    index: int
    codec: str
    sample_rate_hz: int
    channels: int
    start_s: float
    duration_s: float | None
    language: str | None
    channel_names: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MediaClip:
    """What a probe tells of a media file.

    Parameters
    ----------
    path : Path
        The file.
    format_name : str
        Name of the container format.
    duration_s : float or None
        Length of the longest track; None where the file does not say, or says
        more than a day.
    audio_tracks : tuple of AudioTrack
        Sound tracks in file order.
    video_tracks : tuple of VideoTrack
        Picture tracks in file order, without cover art.
    restarts : int
        How many times the clock starts anew, where parts were joined as they were.
    """

    path: Path
    format_name: str
    duration_s: float | None
    audio_tracks: tuple[AudioTrack, ...]
    video_tracks: tuple[VideoTrack, ...]
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class AudioStream:
    """Mono samples with a clock.

    Parameters
    ----------
    samples : ndarray of shape (N,), float32
        Samples in [-1, 1]; gaps in the file are zeros.
    sample_rate_hz : int
        Samples per second.
    start_s : float
        Presentation time of ``samples[0]``.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    start_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate_hz
