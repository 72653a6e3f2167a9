"""The interface of every shared space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from avalign.types import FeatureStream


class Space(Protocol):
    """A space in which rows of sound and rows of lips can be compared.

    The inner product of an audio row and a lip row estimates the logarithm of
    how much likelier the two are to have occurred together than apart (their
    pointwise mutual information), so that sums of it over time are evidence for
    a lag.
    """

    @property
    def zero_lag_s(self) -> float:
        """Lag the space shows on average for clips in sync, to be taken off estimates."""

    @property
    def no_match(self) -> float:
        """Log prior odds of "sound and lips do not belong together" against all lags."""

    def embed_audio(self, mfcc: FeatureStream) -> FeatureStream:
        """Map MFCCs to the space.

        Parameters
        ----------
        mfcc : FeatureStream
            MFCCs, 13 columns or more, 10 ms apart.

        Returns
        -------
        FeatureStream
            ``"embedding"`` rows, shape (T, D), on a uniform clock that starts at
            the first valid row; 0 where not valid. Long gaps may be left out.

        Raises
        ------
        ParameterError
            If the stream has too few columns.
        """
        ...

    def embed_lips(
        self, lips: FeatureStream, usable: NDArray[np.bool_] | None = None
    ) -> FeatureStream:
        """Map normalised lip points to the space.

        Parameters
        ----------
        lips : FeatureStream
            A lip stream: 123 columns, any frame rate.
        usable : ndarray of shape (T,), bool, optional
            Rows to use; default all valid ones.

        Returns
        -------
        FeatureStream
            ``"embedding"`` rows, shape (T, D), on a uniform clock of the same rate
            as that of the sound; 0 where not valid. Long gaps may be left out.

        Raises
        ------
        ParameterError
            If the stream has the wrong number of columns.
        """
        ...
