"""Frozen pretrained encoders as sources of features: any module or callable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from avalign.errors import ParameterError
from avalign.types import AudioStream, FeatureStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Encoders drop or pad a few rows at the ends; a wrong rate misses by more.
_SLACK_ROWS = 8
_SLACK_FRACTION = 0.02


@dataclass(frozen=True, eq=False, kw_only=True)
class FrozenEncoder:
    """An encoder that somebody else has trained, with the clock of its rows.

    Its rows are a `FeatureStream`, which every estimator of `avalign.space` and every
    family of `avalign.fusion` can learn from once it is aligned. A module is put into
    evaluation mode and its weights are frozen, in place; nothing is ever trained here.

    Parameters
    ----------
    encoder : nn.Module or callable
        Maps samples of shape (N,), or rows of shape (N, D), to rows of shape (T, C) or
        (1, T, C). Modules are given tensors, and other callables float32 arrays.
    rate_hz : float or None
        Rows it gives per second. None: one for each row of a stream, on its clock.
    first_row_s : float, optional
        Time of the middle of its first row, after the start of what it was given.
    sample_rate_hz : int, optional
        Samples per second it was trained on; sound of another rate is refused.
    batched : bool, optional
        Give it a batch of one, (1, N) or (1, N, D), as most modules expect.
    kind : str, optional
        Kind of the stream it gives.

    Examples
    --------
    >>> encoder = FrozenEncoder(encoder=lambda samples: samples[:, None], rate_hz=None)
    >>> encoder.rate_hz is None
    True
    """

    encoder: nn.Module | Callable[[Any], Any]
    rate_hz: float | None
    first_row_s: float = 0.0
    sample_rate_hz: int | None = None
    batched: bool = False
    kind: str = "embedding"

    def __post_init__(self) -> None:
        if not callable(self.encoder):
            raise ParameterError(
                f"the encoder is of type {type(self.encoder).__name__}",
                "give an nn.Module or a callable",
            )
        if self.rate_hz is not None and not 0 < self.rate_hz < float("inf"):
            raise ParameterError(f"rate_hz is {self.rate_hz}", "give rows per second, above 0")
        if not np.isfinite(self.first_row_s):
            raise ParameterError(f"first_row_s is {self.first_row_s}", "give seconds")
        if isinstance(self.encoder, nn.Module):
            self.encoder.eval().requires_grad_(False)

    def __call__(self, source: AudioStream | FeatureStream) -> FeatureStream:
        """Encode audio or a stream, as float32 [T, C] on the encoder's clock.

        Rows that are not valid are given to the encoder as they are; rows it gives at their
        times are not valid either. ParameterError if the sample rate is not the encoder's, or
        its output has another shape or number of rows, or is not finite.
        """
        given, start_s, duration_s = self._read(source)
        values = self._encode(given)
        if self.rate_hz is None:
            if not isinstance(source, FeatureStream) or len(values) != len(source.times_s):
                raise ParameterError(
                    f"the encoder gave {len(values)} rows and has no rate of its own",
                    "set rate_hz, or give it a stream that it maps row by row",
                )
            return FeatureStream(values, source.times_s, source.valid, self.kind)
        expected = duration_s * self.rate_hz
        if abs(len(values) - expected) > _SLACK_ROWS + _SLACK_FRACTION * expected:
            raise ParameterError(
                f"the encoder gave {len(values)} rows for {duration_s:.2f} s, "
                f"not {expected:.0f}",
                f"set rate_hz, which is {self.rate_hz:g}",
            )
        times_s = start_s + self.first_row_s + np.arange(len(values)) / self.rate_hz
        valid = np.ones(len(values), bool)
        if isinstance(source, FeatureStream):
            valid = _nearest(source, times_s)
        return FeatureStream(values, times_s, valid, self.kind)

    def _read(
        self, source: AudioStream | FeatureStream
    ) -> tuple[NDArray[np.float32], float, float]:
        """Take samples or rows, their start and their duration from a source."""
        if isinstance(source, AudioStream):
            rate_hz = source.sample_rate_hz
            if self.sample_rate_hz not in (None, rate_hz):
                raise ParameterError(
                    f"the sound has {rate_hz} samples per second, not {self.sample_rate_hz}",
                    "read it with that sample rate",
                )
            return source.samples, source.start_s, len(source.samples) / rate_hz
        times_s = source.times_s
        if len(times_s) == 0:
            raise ParameterError("the stream has no rows", "give one that has")
        step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0
        return source.values, float(times_s[0]), float(times_s[-1] - times_s[0]) + step_s

    @torch.no_grad()
    def _encode(self, given: NDArray[np.float32]) -> NDArray[np.float32]:
        array = np.ascontiguousarray(given, np.float32)
        array = array[None] if self.batched else array
        if isinstance(self.encoder, nn.Module):
            parameter = next(self.encoder.parameters(), None)
            device = torch.device("cpu") if parameter is None else parameter.device
            encoded = self.encoder(torch.tensor(array, device=device))
        else:
            encoded = self.encoder(array)
        if isinstance(encoded, Tensor):
            encoded = encoded.detach().float().cpu().numpy()
        values = np.asarray(encoded)
        if values.ndim == 3 and len(values) == 1:
            values = values[0]
        if values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
            raise ParameterError(
                f"the encoder gave {values.dtype} of shape {values.shape}",
                "let it give rows of shape (T, C)",
            )
        values = values.astype(np.float32)
        if not np.isfinite(values).all():
            raise ParameterError(
                "the encoder gave values that are not finite", "look at what it was given"
            )
        return values


def _nearest(source: FeatureStream, times_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which times have a valid row nearest to them."""
    right = np.clip(
        np.searchsorted(source.times_s, times_s), 1, max(1, len(source.times_s) - 1)
    )
    right = np.minimum(right, len(source.times_s) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(
        times_s - source.times_s[left] <= source.times_s[right] - times_s, left, right
    )
    result: NDArray[np.bool_] = source.valid[nearer]
    return result
