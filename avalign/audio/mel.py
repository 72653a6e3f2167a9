"""What the spectral features are made of: settings, window, mel bands, cosine transform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class MfccSettings:
    """How sound becomes log-mel bands and MFCC.

    Parameters
    ----------
    sample_rate_hz : int
        The rate the sound must come in.
    n_mfcc : int
        Cepstral coefficients, the zeroth (loudness) included.
    n_mels : int
        Bands of the mel filter bank (Slaney's scale and area normalisation).
    n_fft : int
        Length of the Fourier transform in samples.
    window_s : float
        Length of the Hann window, in seconds.
    hop_s : float
        Time between rows, in seconds.
    fmin_hz, fmax_hz : float
        Range of the filter bank.

    Raises
    ------
    ParameterError
        If the values contradict each other.
    """

    sample_rate_hz: int = 16_000
    n_mfcc: int = 13
    n_mels: int = 40
    n_fft: int = 512
    window_s: float = 0.025
    hop_s: float = 0.010
    fmin_hz: float = 0.0
    fmax_hz: float = 8_000.0

    def __post_init__(self) -> None:
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise ParameterError(
                f"n_mfcc is {self.n_mfcc} with {self.n_mels} mel bands",
                "choose 1 <= n_mfcc <= n_mels",
            )
        if not 0 <= self.fmin_hz < self.fmax_hz <= self.sample_rate_hz / 2:
            raise ParameterError(
                f"the band {self.fmin_hz} to {self.fmax_hz} Hz does not fit a sample rate of "
                f"{self.sample_rate_hz} Hz",
                "choose 0 <= fmin_hz < fmax_hz <= sample_rate_hz / 2",
            )
        if not 1 <= self.window_length <= self.n_fft:
            raise ParameterError(
                f"a window of {self.window_s} s is {self.window_length} samples, n_fft is "
                f"{self.n_fft}",
                "choose window_s between one sample and n_fft samples",
            )
        if self.hop_length < 1:
            raise ParameterError(
                f"a hop of {self.hop_s} s is shorter than one sample", "choose a longer hop_s"
            )

    @property
    def window_length(self) -> int:
        """Length of the window in samples."""
        return round(self.window_s * self.sample_rate_hz)

    @property
    def hop_length(self) -> int:
        """Samples between rows."""
        return round(self.hop_s * self.sample_rate_hz)


def mel_filters(settings: MfccSettings) -> NDArray[np.float64]:
    """Slaney's mel filter bank, each triangle of area one.

    Parameters
    ----------
    settings : MfccSettings
        Rate, transform length, bands and their range.

    Returns
    -------
    ndarray of shape (n_mels, 1 + n_fft // 2)
        Weights of the power spectrum's bins.

    References
    ----------
    .. [1] M. Slaney, "Auditory Toolbox", version 2, Interval Research, 1998.
    """
    edges_hz = mel_edges_hz(settings)
    bins_hz = np.fft.rfftfreq(settings.n_fft, 1 / settings.sample_rate_hz)
    left, centre, right = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising = (bins_hz - left) / (centre - left)
    falling = (right - bins_hz) / (right - centre)
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (right - left))


def mel_edges_hz(settings: MfccSettings) -> NDArray[np.float64]:
    """Edges of the mel bands in Hz [n_mels + 2]: band ``i`` peaks at entry ``i + 1``."""
    knee_hz, hz_per_mel, step = 1000.0, 200 / 3, np.log(6.4) / 27
    knee = knee_hz / hz_per_mel

    def to_mel(hz: float) -> float:
        return hz / hz_per_mel if hz < knee_hz else knee + np.log(hz / knee_hz) / step

    mels = np.linspace(to_mel(settings.fmin_hz), to_mel(settings.fmax_hz), settings.n_mels + 2)
    return np.where(
        mels < knee, mels * hz_per_mel, knee_hz * np.exp(step * (np.maximum(mels, knee) - knee))
    )


def dct_basis(n_rows: int, n_columns: int) -> NDArray[np.float64]:
    """First rows of the orthonormal discrete cosine transform (type 2).

    Parameters
    ----------
    n_rows : int
        Coefficients.
    n_columns : int
        Points they describe.

    Returns
    -------
    ndarray of shape (n_rows, n_columns)
        ``basis @ bands`` transforms; ``coefficients @ basis`` turns them back.
    """
    angles = np.pi / n_columns * np.outer(np.arange(n_rows), np.arange(n_columns) + 0.5)
    basis = np.sqrt(2 / n_columns) * np.cos(angles)
    basis[0] /= np.sqrt(2)
    return basis


def hann_window(settings: MfccSettings) -> NDArray[np.float64]:
    """Periodic Hann window in the middle of a frame of zeros.

    Parameters
    ----------
    settings : MfccSettings
        Length of the window and of the frame.

    Returns
    -------
    ndarray of shape (n_fft,)
        Weights of the samples of a frame.
    """
    length = settings.window_length
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    before = (settings.n_fft - length) // 2
    return np.pad(hann, (before, settings.n_fft - length - before))
