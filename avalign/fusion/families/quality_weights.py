"""Dynamic weights: streams weigh by their quality at each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import PerStream, StreamHeads
from avalign.fusion.layers.masking import (
    any_valid,
    by_name,
    masked_softmax,
    stack_streams,
    weighted_sum,
)
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# Keeps the logarithm of a silent stream's energy finite.
_SILENCE = 1e-6


class QualityWeightsFusion(Fusion):
    """A weighted sum of streams whose weights follow availability and quality.

    The weight of a stream is a softmax of two parts. What is measured, `quality` in
    `forward`, such as an SNR or the confidence of landmarks, raises the weight with a
    learned slope that is always positive: worse never counts more. What is not measured
    is judged from the features: their energy and their roughness from row to row, of
    which noise has much, around each row. Streams that are missing weigh nothing.

    When to use: noise or occlusion comes and goes, and something measures it.

    Parameters
    ----------
    quality_scales : mapping of str to (float, float), optional
        Ordinary quality of a stream, and the change of it that matters, such as
        ``{"audio": (10.0, 10.0)}`` for an SNR in dB or ``{"lips": (0.5, 0.25)}`` for a
        confidence; (0, 1) by default. A stream whose quality is not known counts as
        ordinary.
    window : int
        Rows around a row in which energy and roughness are averaged; odd.
    hidden : int, optional
        Width of the hidden layers; `out_dim` by default.

    Raises
    ------
    ParameterError
        If a scale is not positive or of an unknown stream, or the window is not odd.

    References
    ----------
    V. Estellers, M. Gurban and J.-P. Thiran, "On dynamic stream weighting for audio-visual
    speech recognition", IEEE Transactions on Audio, Speech, and Language Processing 20(4),
    2012.
    """

    uses_quality = True

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        quality_scales: Mapping[str, tuple[float, float]] | None = None,
        window: int = 9,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        if window < 1 or window % 2 == 0:
            raise ParameterError(f"the window has {window} rows; it must be odd and positive")
        self.window = window
        scales = dict(quality_scales or {})
        for name, (_, step) in scales.items():
            if name not in self.dims:
                raise ParameterError(
                    f"quality_scales names {name!r}, which is not a stream of this fusion",
                    f"its streams are {', '.join(self.names)}",
                )
            if not step > 0:
                raise ParameterError(
                    f"the quality of {name!r} has a step of {step}, wanted > 0"
                )
        self.scales = {name: scales.get(name, (0.0, 1.0)) for name in self.names}
        hidden = checked_width(hidden, out_dim)
        self.values = StreamHeads(dims, out_dim, hidden=hidden, dropout=dropout)
        self.judges = PerStream(
            {
                name: nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
                for name in self.names
            }
        )
        # softplus(0.5413) = 1: one step of quality multiplies the weight by e.
        self.slopes = nn.Parameter(torch.full((len(self.names),), 0.5413))

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Add the streams up by their quality."""
        values, mask = stack_streams(self.values(inputs.streams, inputs.masks), inputs.masks)
        signs = {
            name: _measure_noise(rows, inputs.masks[name], self.window)
            for name, rows in inputs.streams.items()
        }
        judged = torch.cat(list(self.judges(signs, inputs.masks).values()), dim=-1)
        logits = judged + functional.softplus(self.slopes) * self._measured(inputs)
        stream_weights = masked_softmax(logits, mask)
        return make_output(
            weighted_sum(values, stream_weights),
            any_valid(inputs.masks),
            weights=by_name(self.names, stream_weights),
        )

    def _measured(self, inputs: FusionInput) -> Tensor:
        """Quality in steps from the ordinary, (B, T, S); 0 where it is not known."""
        steps = []
        for name, mask in inputs.masks.items():
            ordinary, step = self.scales[name]
            known = inputs.quality.get(name)
            steps.append(
                torch.zeros_like(mask).float()
                if known is None
                else (known.float() - ordinary) / step
            )
        return torch.stack(steps, dim=-1)


def _measure_noise(rows: Tensor, mask: Tensor, window: int) -> Tensor:
    """Logarithms of energy and roughness around each row, (B, T, 2).

    Roughness is the mean square of the difference to the row before, if both are valid.
    """
    dtype = rows.dtype
    # Squares overflow in half precision.
    rows = rows.float()
    both = functional.pad(mask[:, 1:] & mask[:, :-1], (1, 0))
    change = functional.pad(rows[:, 1:] - rows[:, :-1], (0, 0, 1, 0))
    signs = []
    for values, counts in ((rows, mask), (change, both)):
        squares = values.square().mean(dim=-1) * counts
        sums = functional.avg_pool1d(
            torch.stack([squares, counts.to(squares.dtype)], dim=1),
            window,
            stride=1,
            padding=window // 2,
        )
        signs.append((sums[:, 0] / sums[:, 1].clamp(min=0.5 / window) + _SILENCE).log())
    return torch.stack(signs, dim=-1).to(dtype)
