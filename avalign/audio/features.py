"""Log-mel and MFCC streams that equal librosa's, without importing it.

librosa is the reference: over speech, silence, clicks and noise the numbers here equal
those of ``librosa.feature`` within 1e-4 plus one millionth of the value, which is what
librosa's single precision leaves open (see ``tests/test_audio_features.py``).
Importing librosa costs seconds, though, and it wants the whole sound at once; here
the sound may come in blocks, and only the features are kept.

Row ``i`` is *centred* on ``start_s + i * hop_s``. Other front ends stamp a row with the
start of its window, a bias of half a window (12.5 ms).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import factorial
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from avalign.audio import reference
from avalign.audio.mel import MfccSettings, dct_basis, hann_window, mel_filters
from avalign.errors import ParameterError
from avalign.types import AudioStream, FeatureStream, split_at_pauses

if TYPE_CHECKING:
    from numpy.typing import NDArray

Engine = Literal["avalign", "librosa"]
AnyAudio: TypeAlias = AudioStream | Iterable[AudioStream]

POWER_FLOOR = 1e-10  # -100 dB, the `amin` of librosa.power_to_db
DELTA_FRAMES = 9
# Rows further apart belong to different runs of sound.
LONGEST_STEP_S = 0.1
# Frames transformed at once. The blocks the caller brings are cut anew to this many,
# so that no rounding of the matrix product depends on how the sound was delivered.
FRAMES_PER_CHUNK = 1024


def log_mel(
    audio: AnyAudio, settings: MfccSettings | None = None, *, engine: Engine = "avalign"
) -> FeatureStream:
    """Log-mel spectrogram in decibels.

    Equals, within 1e-4 dB, ``librosa.power_to_db(librosa.feature.melspectrogram(y,
    sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=40, center=True,
    pad_mode="constant", power=2.0), ref=1.0, amin=1e-10, top_db=None)``: no value
    depends on the loudest moment of the clip.

    Parameters
    ----------
    audio : AudioStream or iterable of AudioStream
        The sound, whole or in blocks in the order of time; a gap between two of them is
        a gap in the times of the rows.
    settings : MfccSettings, optional
        Default: 16 kHz, 25 ms windows every 10 ms, 40 bands.
    engine : {"avalign", "librosa"}
        Who computes; librosa is the slower reference, and joins the blocks first.

    Returns
    -------
    FeatureStream
        ``values`` of shape (1 + N // hop, n_mels) without gaps, kind ``"log_mel"``; no
        rows for no samples.

    Raises
    ------
    ParameterError
        If the sample rate differs from the settings, blocks overlap, or a sample is not
        finite.
    MissingDependencyError
        If ``engine="librosa"`` and librosa does not load.
    """
    settings = settings or MfccSettings()
    frames_of = reference.log_mel_frames if engine == "librosa" else _log_mel_frames
    hop_s = settings.hop_length / settings.sample_rate_hz
    parts = [np.empty((0, settings.n_mels), np.float32)]
    clocks = [np.empty(0)]
    for start_s, blocks in _runs(
        [audio] if isinstance(audio, AudioStream) else audio, settings
    ):
        first = len(parts)
        parts += frames_of(blocks, settings)
        count = sum(map(len, parts[first:]))
        clocks.append(start_s + np.arange(count) * hop_s)
    values, times_s = np.concatenate(parts), np.concatenate(clocks)
    # Each run is padded by half a window: rows of two runs may meet where the gap is short.
    later = np.diff(times_s, prepend=-np.inf) > 0
    if not later.all():
        values, times_s = values[later], times_s[later]
    return FeatureStream(values, times_s, np.ones(len(values), bool), "log_mel")


def mfcc(
    audio: AnyAudio | FeatureStream,
    settings: MfccSettings | None = None,
    *,
    deltas: int = 0,
    engine: Engine = "avalign",
) -> FeatureStream:
    """Mel-frequency cepstral coefficients.

    Equals, within 1e-4 plus one millionth of the value, ``librosa.feature.mfcc(S=log_mel,
    n_mfcc=13, dct_type=2, norm="ortho")`` and, for the deltas,
    ``librosa.feature.delta(width=9, order=..., mode="interp")``.

    Parameters
    ----------
    audio : AudioStream, iterable of AudioStream, or FeatureStream
        The sound (see `log_mel`), or the result of `log_mel`, where it is at hand.
    settings : MfccSettings, optional
        Default: 13 coefficients of 40 bands.
    deltas : {0, 1, 2}
        1 appends the first derivative per row, 2 the second one, too.
    engine : {"avalign", "librosa"}
        Who computes; see `log_mel`.

    Returns
    -------
    FeatureStream
        ``values`` of shape (T, n_mfcc * (1 + deltas)), kind ``"mfcc"``.

    Raises
    ------
    ParameterError
        As `log_mel`; if ``deltas`` is not 0, 1 or 2, or there are fewer than nine rows
        to take them of; if a feature stream does not hold ``n_mels`` log-mel bands.
    MissingDependencyError
        If ``engine="librosa"`` and librosa does not load.

    References
    ----------
    .. [1] S. Davis and P. Mermelstein, "Comparison of parametric representations for
       monosyllabic word recognition in continuously spoken sentences", IEEE Trans.
       Acoustics, Speech, and Signal Processing 28 (4), 1980.
    .. [2] A. Savitzky and M. J. E. Golay, "Smoothing and differentiation of data by
       simplified least squares procedures", Analytical Chemistry 36 (8), 1964.
    """
    settings = settings or MfccSettings()
    if deltas not in (0, 1, 2):
        raise ParameterError(f"deltas is {deltas!r}", "choose 0, 1 or 2")
    if isinstance(audio, FeatureStream):
        bands = audio
    else:
        bands = log_mel(audio, settings, engine=engine)
    if bands.kind != "log_mel" or bands.values.shape[1] != settings.n_mels:
        raise ParameterError(
            f"MFCC need {settings.n_mels} log-mel bands; this stream holds "
            f"{bands.values.shape[1]} columns of {bands.kind!r}",
            "pass sound, or the result of log_mel with the same settings",
        )
    if engine == "librosa":
        values = reference.cepstrum(bands.values, settings.n_mfcc, deltas)
    else:
        cepstrum = bands.values @ dct_basis(settings.n_mfcc, settings.n_mels).T
        orders = [_deltas(cepstrum, bands.times_s, order) for order in range(1, deltas + 1)]
        values = np.concatenate([cepstrum, *orders], axis=1).astype(np.float32)
    return FeatureStream(values, bands.times_s, bands.valid, "mfcc")


def _runs(
    audio: Iterable[AudioStream], settings: MfccSettings
) -> Iterator[tuple[float, Iterator[NDArray[np.float32]]]]:
    """Yield the start and the checked samples of each run of blocks without a gap."""
    rate = settings.sample_rate_hz
    run, start_s, count = 0, 0.0, 0

    def number(block: AudioStream) -> int:
        nonlocal run, start_s, count
        _check(block, rate)
        gap_s = block.start_s - (start_s + count / rate)
        if count and gap_s < -0.5 / rate:
            raise ParameterError(
                f"a block of sound starts at {block.start_s:.6f} s, the one before it ends at "
                f"{block.start_s - gap_s:.6f} s",
                "give blocks in the order of time that do not overlap",
            )
        if count == 0 or gap_s > 0.5 / rate:
            run, start_s, count = run + (count > 0), block.start_s, 0
        count += len(block.samples)
        return run

    for _, blocks in groupby(audio, number):
        yield start_s, (block.samples for block in blocks)


def _check(block: AudioStream, rate_hz: int) -> None:
    """Refuse a block that cannot be worked on."""
    if block.sample_rate_hz != rate_hz:
        raise ParameterError(
            f"the sound has {block.sample_rate_hz} samples per second, not {rate_hz}",
            f"read it at {rate_hz} Hz",
        )
    if block.samples.ndim != 1:
        raise ParameterError(
            f"samples have shape {block.samples.shape}", "mix the sound down to one channel"
        )
    if not np.isfinite(block.samples).all():
        where = int(np.argmin(np.isfinite(block.samples)))
        raise ParameterError(
            f"the sound is not a number at {block.start_s + where / rate_hz:.4f} s",
            "replace such samples by zeros",
        )


def _log_mel_frames(
    blocks: Iterable[NDArray[np.float32]], s: MfccSettings
) -> Iterator[NDArray[np.float32]]:
    window, filters = hann_window(s), mel_filters(s).T
    for samples in _chunks(blocks, s):
        frames = np.lib.stride_tricks.sliding_window_view(samples, s.n_fft)[:: s.hop_length]
        spectrum = np.fft.rfft(frames * window, axis=1)
        bands = (spectrum.real**2 + spectrum.imag**2) @ filters
        yield (10 * np.log10(np.maximum(bands, POWER_FLOOR))).astype(np.float32)


def _chunks(
    blocks: Iterable[NDArray[np.float32]], s: MfccSettings
) -> Iterator[NDArray[np.float32]]:
    """Cut the sound into FRAMES_PER_CHUNK frames each, its ends padded by half a frame."""
    step = FRAMES_PER_CHUNK * s.hop_length
    size = step - s.hop_length + s.n_fft
    half_frame = np.zeros(s.n_fft // 2, np.float32)
    pending, held, has_samples = [half_frame], len(half_frame), False
    for block in blocks:
        has_samples |= len(block) > 0
        pending.append(block)
        held += len(block)
        if held < size:
            continue
        buffer = np.concatenate(pending)
        while len(buffer) >= size:
            yield buffer[:size]
            buffer = buffer[step:]
        pending, held = [buffer], len(buffer)
    last = np.concatenate([*pending, half_frame])
    while has_samples and len(last) >= s.n_fft:
        yield last[:size]
        last = last[step:]


def _deltas(
    values: NDArray[np.float64], times_s: NDArray[np.float64], order: int
) -> NDArray[np.float64]:
    """Derive run by run; runs too short for that do not move."""
    parts = split_at_pauses(times_s, LONGEST_STEP_S)
    if len(parts) < 2:
        return _delta(values, order)
    return np.concatenate(
        [
            _delta(values[part], order)
            if part.stop - part.start >= DELTA_FRAMES
            else np.zeros_like(values[part])
            for part in parts
        ]
    )


def _delta(values: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """Derive, per row, the polynomial of that order fitted to nine rows."""
    # Its highest derivative is the same everywhere: the ends repeat the first and last full
    # fit.
    if len(values) < DELTA_FRAMES:
        raise ParameterError(
            f"deltas need {DELTA_FRAMES} rows; the sound gives {len(values)}",
            "pass a longer sound or deltas=0",
        )
    half = DELTA_FRAMES // 2
    powers = np.vander(np.arange(-half, half + 1), order + 1, increasing=True)
    weights = factorial(order) * np.linalg.pinv(powers)[order]
    windows = np.lib.stride_tricks.sliding_window_view(values, DELTA_FRAMES, axis=0)
    return np.pad(windows @ weights, ((half, half), (0, 0)), mode="edge")
