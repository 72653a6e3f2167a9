"""librosa, the reference the extractor equals: what ``engine="librosa"`` calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import import_guard

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from avalign.audio.mel import MfccSettings


def log_mel_frames(
    blocks: Iterable[NDArray[np.float32]], settings: MfccSettings
) -> Iterator[NDArray[np.float32]]:
    """Yield one log-mel spectrogram by librosa, decibels [T, n_mels], of all blocks."""
    librosa = _librosa()
    samples = np.concatenate([np.empty(0, np.float32), *blocks])
    if len(samples) == 0:
        return
    power = librosa.feature.melspectrogram(
        y=samples,
        sr=settings.sample_rate_hz,
        n_fft=settings.n_fft,
        win_length=settings.window_length,
        hop_length=settings.hop_length,
        n_mels=settings.n_mels,
        fmin=settings.fmin_hz,
        fmax=settings.fmax_hz,
        center=True,
        pad_mode="constant",
        power=2.0,
    )
    yield librosa.power_to_db(power, ref=1.0, amin=1e-10, top_db=None).T


def cepstrum(bands: NDArray[np.float32], n_mfcc: int, deltas: int) -> NDArray[np.float32]:
    """MFCC [T, n_mfcc * (1 + deltas)] of log-mel bands, and their derivatives, by librosa."""
    librosa = _librosa()
    static = librosa.feature.mfcc(S=bands.T, n_mfcc=n_mfcc, dct_type=2, norm="ortho")
    orders = [
        librosa.feature.delta(static, width=9, order=order, mode="interp")
        for order in range(1, deltas + 1)
    ]
    return np.concatenate([static, *orders]).T.astype(np.float32)


def _librosa() -> Any:
    with import_guard(
        "librosa does not load",
        'install it with `pip install librosa`, or leave engine="avalign"',
    ):
        import librosa
    return librosa
