"""Modality dropout: hide streams and rows in training, so that a model can miss them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class ModalityDropout(nn.Module):
    """Hide whole streams of an item, and single rows of a stream, by their masks.

    The rates are exact, not only expected of many draws: of k streams, ``k * stream_rate``
    are hidden, rounded up or down at random such that the mean is right; and so for the
    rows of a stream. One stream of an item always stays, and one row of a stream; where
    that is all there is, nothing is hidden. Does nothing in evaluation.

    When to use: training of any family that shall run with streams missing.

    Parameters
    ----------
    stream_rate : float
        Fraction of streams to hide, 0 to 1. At most ``(k - 1) / k`` of k streams are.
    row_rate : float
        Fraction of the valid rows of the streams left to hide, 0 to 1.

    Raises
    ------
    ParameterError
        If a rate is not in [0, 1).

    References
    ----------
    N. Neverova et al., "ModDrop: adaptive multi-modal gesture recognition", IEEE
    Transactions on Pattern Analysis and Machine Intelligence 38(8), 2016.

    Examples
    --------
    >>> from avalign.fusion import ModalityDropout
    >>> hide = ModalityDropout(stream_rate=0.3, row_rate=0.1)
    >>> output = fusion(streams, hide(masks))  # doctest: +SKIP
    """

    def __init__(self, stream_rate: float = 0.2, row_rate: float = 0.0) -> None:
        super().__init__()
        for what, rate in (("stream_rate", stream_rate), ("row_rate", row_rate)):
            if not 0 <= rate < 1:
                raise ParameterError(f"{what} is {rate}; it must be at least 0 and below 1")
        self.stream_rate = stream_rate
        self.row_rate = row_rate

    def forward(self, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Hide streams and rows.

        Parameters
        ----------
        masks : mapping of str to Tensor of shape (B, T), bool
            True where a stream is valid; lengths may differ.

        Returns
        -------
        dict of str to Tensor of shape (B, T), bool
            Masks with fewer rows; the same ones in evaluation.
        """
        if not self.training:
            return dict(masks)
        names = sorted(masks)
        there = torch.stack([masks[name].any(dim=1) for name in names], dim=1)
        visible = _thin(there, self.stream_rate)
        return {
            name: _thin(masks[name] & visible[:, number, None], self.row_rate)
            for number, name in enumerate(names)
        }


def _thin(mask: Tensor, rate: float) -> Tensor:
    """Unset a fraction of the True entries of each row of a mask (B, N), but never all."""
    count = mask.sum(dim=1)
    start = torch.rand(len(mask), device=mask.device)
    hidden = torch.minimum((count * rate + start).long(), (count - 1).clamp(min=0))
    # Entries in random order; those that are False already come last.
    order = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, 2.0)
    rank = order.argsort(dim=1).argsort(dim=1)
    return mask & (rank >= hidden[:, None])
