"""What is valid: masks, their lengths, and means and softmaxes that keep to them.

A mask is boolean and True where a row counts. Whatever has nothing valid to work on
gives zeros, never NaN, forwards and backwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor


def lengths_to_mask(lengths: Tensor, n_rows: int | None = None) -> Tensor:
    """Mask of sequences padded at their end: bool (B, n_rows), by default the longest."""
    if n_rows is None:
        n_rows = int(lengths.max())
    return torch.arange(n_rows, device=lengths.device) < lengths[:, None]


def mask_to_lengths(mask: Tensor) -> Tensor:
    """Count rows up to and including the last valid one.

    Parameters
    ----------
    mask : Tensor of shape (B, T), bool
        True where a row is valid; gaps are allowed.

    Returns
    -------
    Tensor of shape (B,), int64
        0 where nothing is valid.
    """
    numbers = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (mask * numbers).amax(dim=1)


def zero_masked(values: Tensor, mask: Tensor) -> Tensor:
    """Put zeros where the mask is False, whatever is there, NaN included.

    Parameters
    ----------
    values : Tensor of shape (..., D)
        Rows.
    mask : Tensor of shape (...), bool
        True where a row is kept.

    Returns
    -------
    Tensor of shape (..., D)
        New rows.
    """
    return torch.where(mask[..., None], values, torch.zeros_like(values))


def any_valid(masks: Mapping[str, Tensor]) -> Tensor:
    """Rows in which at least one stream is valid.

    Parameters
    ----------
    masks : mapping of str to Tensor of shape (B, T), bool
        Mask of each stream; at least one.

    Returns
    -------
    Tensor of shape (B, T), bool
        The union.
    """
    return torch.stack(tuple(masks.values())).any(dim=0)


def stack_streams(
    streams: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Put streams (B, T, D) of one shape side by side: values (B, T, S, D), mask (B, T, S)."""
    values = torch.stack(tuple(streams.values()), dim=2)
    mask = torch.stack([masks[name] for name in streams], dim=2)
    return values, mask


def masked_mean(values: Tensor, mask: Tensor, dim: int = 1) -> Tensor:
    """Mean of the valid rows.

    Parameters
    ----------
    values : Tensor of shape (..., D)
        Rows, such as (B, T, D).
    mask : Tensor of shape (...), bool
        True where a row counts, such as (B, T).
    dim : int
        Axis of `mask` to average over; not negative.

    Returns
    -------
    Tensor
        `values` without axis `dim`; zeros where no row is valid.
    """
    total = zero_masked(values, mask).sum(dim=dim)
    count = mask.sum(dim=dim).clamp(min=1)
    return total / count[..., None].to(total.dtype)


def masked_softmax(scores: Tensor, mask: Tensor, dim: int = -1) -> Tensor:
    """Softmax over the valid entries; 0 where masked, and where an axis has no valid entry."""
    # The lowest finite number instead of -inf: a softmax over -inf alone is NaN.
    lowest = torch.finfo(scores.dtype).min
    weights = torch.softmax(scores.masked_fill(~mask, lowest), dim=dim)
    return weights.masked_fill(~mask, 0.0)


def equal_weights(mask: Tensor) -> Tensor:
    """Equal weights (..., S) of what is valid; they sum to 1, or to 0 where nothing is."""
    return mask.float() / mask.sum(dim=-1, keepdim=True).clamp(min=1)


def weighted_sum(values: Tensor, weights: Tensor) -> Tensor:
    """Add streams (B, T, S, D) up by their weights (B, T, S)."""
    return (values * weights[..., None]).sum(dim=2)


def by_name(names: Iterable[str], weights: Tensor) -> dict[str, Tensor]:
    """Name the weights (..., S) of streams, in the order of the last axis."""
    return dict(zip(names, weights.unbind(dim=-1), strict=True))
