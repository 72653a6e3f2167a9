"""Speech activity from the log-mel spectrogram, by rule: no weights, no training.

Three cues must hold together, and the weakest decides:

1. *Loudness*: the sound rises above a noise floor of its own, by a fair part of what it
   reaches within seconds. Each band's floor is its minimum over five seconds [1]_, so
   steady noise and hum are floor; a click is too short to rise.
2. *Modulation*: the level moves, as syllables do. A tone or a fan switched on stays put.
3. *Structure*: the spectrum above the floor has the peaks and valleys of harmonics and
   formants, at least nearby. Noise bursts are flat.

All windows are seconds long and slide, so a loud moment changes nothing an hour later.
What is modulated and structured passes for speech: music, barking, a crowd.

References
----------
.. [1] R. Martin, "Noise power spectral density estimation based on optimal smoothing and
   minimum statistics", IEEE Trans. Speech and Audio Processing 9 (5), 2001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from avalign.audio.features import LONGEST_STEP_S, AnyAudio, log_mel
from avalign.audio.mel import MfccSettings, dct_basis, mel_edges_hz
from avalign.errors import ParameterError
from avalign.types import FeatureStream, split_at_pauses

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Frames = NDArray[np.float64]

SPEECH_BAND_HZ = (150.0, 4_000.0)
FLOOR_WINDOW_S, FLOOR_SMOOTHING_S = 5.0, 0.07
# The minimum of a fluctuating level lies below its mean by about this much.
FLOOR_BIAS_DB = 3.0
# Softer than this, about -60 dB of full scale, is silence in any recording.
SILENCE_DB = -70.0
SHORTEST_AUDIO_S, LEVEL_SMOOTHING_S = 0.05, 0.15
PEAK_WINDOW_S, LOWEST_PEAK_DB = 4.0, 6.0
MODULATION_WINDOW_S = 1.0
STRUCTURE_SMOOTHING_S, STRUCTURE_WINDOW_S = 0.03, 0.3
# Midpoint and width of the step from "no" to "yes" of each cue.
LOUDNESS_STEP = (0.30, 0.08)  # of the peak
MODULATION_STEP_DB = (0.8, 0.2)
STRUCTURE_STEP_DB = (3.3, 0.5)


def speech_activity(
    audio: AnyAudio | FeatureStream, settings: MfccSettings | None = None
) -> FeatureStream:
    """Tell, for every row, how likely somebody speaks.

    Parameters
    ----------
    audio : AudioStream, iterable of AudioStream, or FeatureStream
        The sound, or the result of `log_mel` or, less exact, of `mfcc`.
    settings : MfccSettings, optional
        What the features were, or are to be, computed with.

    Returns
    -------
    FeatureStream
        ``values`` of shape (T, 1) from 0 to 1, 0.5 where it is undecided, on the clock of
        the features, kind ``"speech"``.

    Raises
    ------
    ParameterError
        As `log_mel`; if a feature stream is of another kind or width than the settings
        say; or if the settings leave out the range of speech.
    """
    settings = settings or MfccSettings()
    stream = audio if isinstance(audio, FeatureStream) else log_mel(audio, settings)
    bands = _bands(stream, settings)
    values = np.empty((len(stream), 1), np.float32)
    for run in split_at_pauses(stream.times_s, LONGEST_STEP_S):
        values[run] = _activity(bands[run], settings.hop_s)
    return FeatureStream(values, stream.times_s, stream.valid, "speech")


def _activity(bands: Frames, hop_s: float) -> Frames:
    """Weigh the three cues of sound without gaps; (T, 1)."""
    bands = np.maximum(bands, SILENCE_DB)
    above_floor = np.maximum(0, bands - _floor(bands, hop_s))
    loudness = _level(above_floor, hop_s)
    cues = (
        _step(loudness / _peak(loudness, hop_s), LOUDNESS_STEP),
        # Of the sound itself: a floor that catches up with a new hum moves, too.
        _step(_modulation(_level(bands, hop_s), hop_s), MODULATION_STEP_DB),
        _step(_structure(above_floor, hop_s), STRUCTURE_STEP_DB),
    )
    return np.minimum.reduce(cues)


def _bands(stream: FeatureStream, settings: MfccSettings) -> Frames:
    """Those log-mel bands that lie in the range of speech."""
    columns = stream.values.shape[1]
    if stream.kind == "log_mel" and columns == settings.n_mels:
        bands = stream.values.astype(np.float64)
    elif stream.kind == "mfcc" and columns >= settings.n_mfcc:  # derivatives may follow
        cepstrum = stream.values[:, : settings.n_mfcc].astype(np.float64)
        bands = cepstrum @ dct_basis(settings.n_mfcc, settings.n_mels)
    else:
        raise ParameterError(
            f"speech activity cannot be told from {columns} columns of {stream.kind!r}",
            "pass sound, or the result of log_mel or mfcc with the same settings",
        )
    low_hz, high_hz = SPEECH_BAND_HZ
    centres_hz = mel_edges_hz(settings)[1:-1]
    in_range = (centres_hz >= low_hz) & (centres_hz <= high_hz)
    if not in_range.any():
        raise ParameterError(
            f"no mel band lies between {low_hz:g} and {high_hz:g} Hz",
            "choose fmin_hz, fmax_hz and n_mels that cover speech",
        )
    return bands[:, in_range]


def _floor(bands: Frames, hop_s: float) -> Frames:
    """Find the noise floor of each band in decibels."""
    smooth = _mean(bands, _window(FLOOR_SMOOTHING_S, hop_s))
    return FLOOR_BIAS_DB - _maximum(-smooth, _window(FLOOR_WINDOW_S, hop_s))


def _level(bands: Frames, hop_s: float) -> Frames:
    """Mean over the bands, less what is too short for speech, smoothed; (T, 1)."""
    size = _window(SHORTEST_AUDIO_S, hop_s)
    lasting = -_maximum(-bands.mean(axis=1, keepdims=True), size)
    return _mean(_maximum(lasting, size), _window(LEVEL_SMOOTHING_S, hop_s))


def _peak(level: Frames, hop_s: float) -> Frames:
    return np.maximum(_maximum(level, _window(PEAK_WINDOW_S, hop_s)), LOWEST_PEAK_DB)


def _modulation(level: Frames, hop_s: float) -> Frames:
    """Measure how much the level moves nearby: its standard deviation; (T, 1)."""
    size = _window(MODULATION_WINDOW_S, hop_s)
    variance = _mean(level**2, size) - _mean(level, size) ** 2
    return np.sqrt(np.maximum(variance, 0))


def _structure(above_floor: Frames, hop_s: float) -> Frames:
    """Deviation of the spectrum from a straight line, the largest nearby; (T, 1)."""
    spectrum = _mean(above_floor, _window(STRUCTURE_SMOOTHING_S, hop_s))
    spectrum = spectrum - spectrum.mean(axis=1, keepdims=True)
    line = np.linspace(-1, 1, spectrum.shape[1])
    line /= np.linalg.norm(line)
    rest = spectrum - np.outer(spectrum @ line, line)
    return _maximum(rest.std(axis=1, keepdims=True), _window(STRUCTURE_WINDOW_S, hop_s))


def _step(values: Frames, step: tuple[float, float]) -> Frames:
    """Logistic step from 0 to 1."""
    midpoint, width = step
    return 0.5 + 0.5 * np.tanh((values - midpoint) / (2 * width))


def _window(seconds: float, hop_s: float) -> int:
    """Rows of a window with a middle."""
    return 2 * round(seconds / hop_s / 2) + 1


def _padded(values: Frames, size: int) -> Frames:
    mode: Literal["edge", "constant"] = "edge" if len(values) else "constant"
    return np.pad(values, ((size // 2, size // 2), (0, 0)), mode)


def _mean(values: Frames, size: int) -> Frames:
    sums = np.cumsum(np.pad(_padded(values, size), ((1, 0), (0, 0))), axis=0)
    return (sums[size:] - sums[:-size]) / size


def _maximum(values: Frames, size: int) -> Frames:
    """Sliding maximum; windows of twice the size come from two of half of it."""
    result, reach = _padded(values, size), 1
    while reach < size:
        shift = min(reach, size - reach)
        result = np.maximum(result[:-shift], result[shift:])
        reach += shift
    return result
