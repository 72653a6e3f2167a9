"""The encoders in NumPy: what `sync` runs, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.settings import EncoderSettings


def encode(
    rows: NDArray[np.float32],
    weights: Mapping[str, NDArray[np.float32]],
    prefix: str,
    settings: EncoderSettings,
) -> NDArray[np.float32]:
    """Run one encoder over normalised rows [T, D], the last column telling which are valid.

    `weights` hold ``{prefix}.{i}.weight`` of shape (out, in, kernel). Gives float32
    [ceil(T / stride), C].
    """
    hidden = rows
    for layer, (width, dilation) in enumerate(
        zip(settings.kernels, settings.dilations, strict=True)
    ):
        stride = settings.stride if layer == 0 else 1
        hidden = _gelu(
            _convolve(
                hidden,
                weights[f"{prefix}.{layer}.weight"],
                weights[f"{prefix}.{layer}.bias"],
                dilation * (width - 1) // 2,
                dilation,
                stride,
            )
        )
    out = weights[f"{prefix}.out.weight"][:, :, 0]
    return hidden @ out.T + weights[f"{prefix}.out.bias"]


def _convolve(
    rows: NDArray[np.float32],
    kernel: NDArray[np.float32],
    bias: NDArray[np.float32],
    padding: int,
    dilation: int,
    stride: int,
) -> NDArray[np.float32]:
    padded = np.pad(rows, ((padding, padding), (0, 0)))
    width = kernel.shape[2]
    count = (len(padded) - dilation * (width - 1) - 1) // stride + 1
    result = np.tile(bias, (count, 1))
    weights = np.ascontiguousarray(kernel.transpose(2, 1, 0))
    # One product of matrices per tap: to gather the taps first would take longer.
    for tap in range(width):
        first = tap * dilation
        reached = padded[first : first + stride * (count - 1) + 1 : stride]
        result += reached @ weights[tap]
    return result


def _gelu(x: NDArray[np.float32]) -> NDArray[np.float32]:
    # The tanh form (Hendrycks and Gimpel 2016), the same as torch's approximate="tanh".
    inner = np.float32(0.7978845608) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (1 + np.tanh(inner))
