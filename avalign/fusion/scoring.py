"""How a model is asked to be explained: by a score, one number per item.

A score is a function of ``(streams, masks, present)``, as a fusion takes them:

>>> def score(*batch):
...     return classifier(fusion(*batch).pooled)[:, 3]  # the logit of a class
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from avalign.errors import ParameterError
from avalign.fusion.layers.masking import zero_masked

if TYPE_CHECKING:
    from numpy.typing import NDArray

Tensors: TypeAlias = Mapping[str, Tensor]
Batch: TypeAlias = tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]
Score: TypeAlias = Callable[[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]], Tensor]


def complete(streams: Tensors, masks: Tensors | None, present: Tensors | None) -> Batch:
    """Order streams (B, T, D) by name, zero what is masked, and fill in masks and presence."""
    if not streams:
        raise ParameterError("there is no stream to explain", "give the streams of a batch")
    values, flags, there = {}, {}, {}
    for name in sorted(streams):
        rows = streams[name].detach()
        mask = (masks or {}).get(name)
        if mask is None:
            mask = torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device)
        has = (present or {}).get(name)
        if has is not None:
            mask = mask & has[:, None]
        values[name], flags[name] = zero_masked(rows, mask), mask
        there[name] = mask.any(dim=1)
    return values, flags, there


def score_items(score: Score, batch: Batch, wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Score the items of a batch that `wanted` (bool [B]) names: float64, one for each."""
    chosen = torch.from_numpy(np.flatnonzero(wanted))
    values, flags, there = (
        {name: tensor[chosen.to(tensor.device)] for name, tensor in part.items()}
        for part in batch
    )
    return as_array(checked_scores(score(values, flags, there), len(chosen)).double())


def checked_scores(scores: Tensor, items: int) -> Tensor:
    """Return scores, or raise ParameterError if they are not one number per item, (B,)."""
    met = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    if met != (items,):
        raise ParameterError(
            f"the score is {met}, wanted a tensor of shape ({items},)",
            "choose one class, or sum over what is not the item",
        )
    return scores


def as_array(tensor: Tensor) -> NDArray[Any]:
    """Copy a tensor out of torch."""
    return tensor.detach().cpu().numpy()
