"""One synthetic clip: a sentence with a face, a known lag and known losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.data.synthetic.emotions import EMOTIONS
from avalign.data.synthetic.face import lip_points, lip_stream
from avalign.data.synthetic.mouth import mouth_movements
from avalign.data.synthetic.speech import Phone
from avalign.data.windows import SourceClip, take_lips
from avalign.errors import ParameterError
from avalign.streams import mfcc_and_speech
from avalign.transcript import Transcript, Word
from avalign.types import AudioStream, ClipStreams, TimeWarp

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.data.synthetic.speakers import Speaker
    from avalign.data.synthetic.speech import Spoken
    from avalign.types import LipStream

FRAME_RATE_HZ = 25.0
# Silence before and after the sentence.
MARGIN_S = 0.5
NOISE_LEVEL = 1e-3  # of full scale: -60 dB, as of a quiet room
# How far the finder misses a point, in eye distances, and how quickly that changes.
POINT_NOISE, POINT_NOISE_S = 0.004, 0.06
HEAD_NOISE_DEG, HEAD_SHIFT, HEAD_NOISE_S = 2.0, 0.03, 0.6
# A face is lost for longer than extraction would bridge.
LOST_S = (0.24, 0.4)
WARP_KNOT_S = 0.05
STEEPEST_WARP = 0.5  # seconds of lag per second


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done to a clip, besides what the seed decides.

    Parameters
    ----------
    audio_lag_s : float
        Positive makes the audio late.
    warp_s : float
        By how much the lag wanders from that, at most, smoothly.
    dropped_share : float
        Fraction of the pictures that are missing.
    lost_chance : float
        Chance that the face is lost for a moment.

    Raises
    ------
    ParameterError
        If a number cannot be used.
    """

    audio_lag_s: float = 0.0
    warp_s: float = 0.0
    dropped_share: float = 0.02
    lost_chance: float = 0.1

    def __post_init__(self) -> None:
        if not abs(self.audio_lag_s) <= 2.0:
            raise ParameterError(
                f"the lag is {1000 * self.audio_lag_s:g} ms", "choose from -2000 to 2000 ms"
            )
        if not 0.0 <= self.warp_s <= 0.2:
            raise ParameterError(
                f"the warp is {1000 * self.warp_s:g} ms", "choose from 0 to 200 ms"
            )
        for name in ("dropped_share", "lost_chance"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ParameterError(f"{name} is {getattr(self, name)}", "choose from 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticClip:
    """A clip, and all that is known of it."""

    source: SourceClip
    phones: tuple[Phone, ...]  # timed by the audio
    audio_transcript: Transcript  # on the audio's clock
    video_transcript: Transcript  # on the picture's clock
    warp: TimeWarp  # from the picture's clock to the audio's
    dropped_s: NDArray[np.float64]  # float64 [D], times of missing frames


def render_clip(
    spoken: Spoken,
    speaker: Speaker,
    *,
    name: str,
    seed: int | list[int],
    emotion: str = "neutral",
    strength: float = 1.0,
    disturbance: Disturbance | None = None,
) -> SyntheticClip:
    """Put a face to a spoken sentence; lag and warp move the picture, never the audio."""
    if emotion not in EMOTIONS:
        raise ParameterError(
            f"the emotion {emotion!r} is unknown", f"choose among {', '.join(EMOTIONS)}"
        )
    rng = np.random.default_rng(seed)
    disturbance = disturbance or Disturbance()
    margin_s = MARGIN_S + abs(disturbance.audio_lag_s) + disturbance.warp_s
    audio = _with_margins(spoken.audio, margin_s, rng)
    phones = tuple(
        Phone(phone.symbol, phone.start_s + margin_s, phone.end_s + margin_s)
        for phone in spoken.phones
    )
    warp = _draw_warp(disturbance, audio.duration_s, rng)
    times_s = np.arange(int(audio.duration_s * FRAME_RATE_HZ)) / FRAME_RATE_HZ
    movements = mouth_movements(phones, warp.to_other(times_s)) * speaker.articulation
    movements = EMOTIONS[emotion].movements(movements, strength)
    lips = _film(speaker, movements, times_s, emotion, strength, rng)
    lips, dropped_s = _with_losses(lips, disturbance, rng)
    mfcc, speech = mfcc_and_speech(iter([audio]))
    duration_s = len(times_s) / FRAME_RATE_HZ
    streams = ClipStreams(
        mfcc, speech, (lips,), f"synthetic: {name}", duration_s, _rate_hz(lips)
    )
    audio_transcript = Transcript(
        tuple(
            Word(word.text, (word.start_s or 0.0) + margin_s, (word.end_s or 0.0) + margin_s)
            for word in spoken.words
        ),
        "synthetic",
    )
    return SyntheticClip(
        SourceClip(streams, audio),
        phones,
        audio_transcript,
        _moved(audio_transcript, warp),
        warp,
        dropped_s,
    )


def _with_margins(audio: AudioStream, margin_s: float, rng: np.random.Generator) -> AudioStream:
    silence = np.zeros(round(margin_s * audio.sample_rate_hz), np.float32)
    samples = np.concatenate([silence, audio.samples, silence])
    noise = NOISE_LEVEL * rng.standard_normal(len(samples), np.float32)
    # The sixteen bits of the file that it is kept in.
    whole = np.rint(np.clip(samples + noise, -1.0, 1.0) * (2**15 - 1))
    return AudioStream((whole / 2**15).astype(np.float32), audio.sample_rate_hz, 0.0)


def _draw_warp(
    disturbance: Disturbance, duration_s: float, rng: np.random.Generator
) -> TimeWarp:
    """Draw a lag that wanders in two slow waves, or keeps still."""
    times_s = np.arange(0.0, duration_s + WARP_KNOT_S, WARP_KNOT_S)
    cycles = np.array([rng.uniform(0.5, 1.0), rng.uniform(1.0, 2.0)]) / duration_s
    phases = rng.uniform(0, 2 * np.pi, 2)
    waves = np.sin(2 * np.pi * cycles * times_s[:, None] + phases).mean(axis=1)
    waves /= np.abs(waves).max()
    slope = disturbance.warp_s * float(np.abs(np.gradient(waves, times_s)).max())
    wander_s = disturbance.warp_s * min(1.0, STEEPEST_WARP / max(slope, 1e-9)) * waves
    return TimeWarp(times_s, times_s + disturbance.audio_lag_s + wander_s)


def _moved(audio_transcript: Transcript, warp: TimeWarp) -> Transcript:
    """Tell when the words are seen."""
    starts_s = warp.inverse.to_other([word.start_s or 0.0 for word in audio_transcript.words])
    ends_s = warp.inverse.to_other([word.end_s or 0.0 for word in audio_transcript.words])
    return Transcript(
        tuple(
            Word(word.text, max(0.0, float(start_s)), max(0.0, float(end_s)))
            for word, start_s, end_s in zip(
                audio_transcript.words, starts_s, ends_s, strict=True
            )
        ),
        audio_transcript.source,
    )


def _film(
    speaker: Speaker,
    movements: NDArray[np.float64],
    times_s: NDArray[np.float64],
    emotion: str,
    strength: float,
    rng: np.random.Generator,
) -> LipStream:
    """Film a speaker whose head moves, with a finder that misses a little."""
    felt = EMOTIONS[emotion]
    restless = speaker.restlessness * felt.agitation(strength)
    turns_deg = HEAD_NOISE_DEG * restless * _smooth_noise(rng, times_s, (3,), HEAD_NOISE_S)
    turns_deg += speaker.pose_deg
    turns_deg[:, 1] += strength * felt.nod_deg
    shift_px = HEAD_SHIFT * speaker.face.eye_distance_px * restless
    shifts_px = shift_px * _smooth_noise(rng, times_s, (2,), HEAD_NOISE_S)
    points = lip_points(speaker.face, movements)
    # The rigid points are as noisy as the lips, and far apart, so they move the lips less.
    noise = tuple(
        POINT_NOISE * _smooth_noise(rng, times_s, (count, 3), POINT_NOISE_S)
        for count in (11, points.shape[1])
    )
    return lip_stream(speaker.face, points, turns_deg, shifts_px, (noise[0], noise[1]), times_s)


def _smooth_noise(
    rng: np.random.Generator,
    times_s: NDArray[np.float64],
    shape: tuple[int, ...],
    lasts_s: float,
) -> NDArray[np.float64]:
    """Draw noise of unit variance that forgets where it was after so many seconds."""
    persistence = float(np.exp(-1.0 / (FRAME_RATE_HZ * lasts_s)))
    fresh = rng.standard_normal((len(times_s), *shape))
    noise = np.empty_like(fresh)
    noise[0] = fresh[0]
    for row in range(1, len(fresh)):
        noise[row] = persistence * noise[row - 1] + np.sqrt(1 - persistence**2) * fresh[row]
    return noise


def _with_losses(
    lips: LipStream, disturbance: Disturbance, rng: np.random.Generator
) -> tuple[LipStream, NDArray[np.float64]]:
    """Lose the face for a moment, by chance, and pictures here and there."""
    times_s = lips.times_s
    if rng.random() < disturbance.lost_chance:
        begin_s = rng.uniform(0.0, times_s[-1])
        gone = (times_s >= begin_s) & (times_s < begin_s + rng.uniform(*LOST_S))
        # As in `avalign.vision.lips.lip_stream`.
        lips.values[gone], lips.valid[gone] = 0.0, False
        for field in (lips.landmarks, lips.head_pose, lips.boxes):
            field[gone] = np.nan
    dropped = rng.random(len(times_s)) < disturbance.dropped_share
    dropped[[0, -1]] = False
    return take_lips(lips, ~dropped), times_s[dropped]


def _rate_hz(lips: LipStream) -> float:
    """Give the average rate, as extraction does."""
    return float((len(lips) - 1) / (lips.times_s[-1] - lips.times_s[0]))
