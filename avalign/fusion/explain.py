"""Explanations of one answer: attention maps, and attributions to single values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import ParameterError, import_guard
from avalign.fusion.layers.masking import zero_masked
from avalign.fusion.scoring import as_array, checked_scores, complete

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from avalign.fusion.interface import Fusion
    from avalign.fusion.scoring import Score, Tensors


def attention_maps(
    fusion: Fusion,
    streams: Tensors,
    masks: Tensors | None = None,
    present: Tensors | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Compute where a fusion looks.

    Parameters
    ----------
    fusion : Fusion
        A family with attention; it is asked as it is, in training mode or not.
    streams, masks, present : mapping of str to Tensor
        As `Fusion.forward` takes them.

    Returns
    -------
    dict of str to ndarray of shape (B, H, Q, K), float32
        Attention of H heads by name; the weights of each query sum to 1, or to 0 where it
        has nothing to look at. `avalign.plots.plot_attention` draws them.

    Raises
    ------
    ParameterError
        If the family has no attention, or as `Fusion.forward`.
    """
    with torch.no_grad():
        found = fusion(streams, masks, present, need_weights=True).attention
    if not found:
        raise ParameterError(
            f"{type(fusion).__name__} has no attention to show",
            'build a family that has, such as "cross_attention"',
        )
    return {name: as_array(weights.float()) for name, weights in found.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """What each value of each stream adds to the score.

    Parameters
    ----------
    values : dict of str to ndarray of shape (B, T, D), float32
        Attributions by stream; 0 where a row is masked.
    difference : ndarray of shape (B,), float64
        Score of the streams minus score of the baseline.
    error : ndarray of shape (B,), float64
        What all attributions of an item sum to, minus `difference`: the numerical
        integral's error.
    """

    values: dict[str, NDArray[np.float32]]
    difference: NDArray[np.float64]
    error: NDArray[np.float64]


def integrated_gradients(
    score: Score,
    streams: Tensors,
    masks: Tensors | None = None,
    present: Tensors | None = None,
    *,
    baseline: Tensors | None = None,
    steps: int = 64,
) -> Saliency:
    """Attribute the score to the values of the streams by integrated gradients.

    The gradient is averaged on the straight line from the baseline to the streams and
    multiplied with the way. Attributions then sum to the difference of the scores.

    Parameters
    ----------
    score : callable
        See `avalign.fusion.scoring`; it has to be differentiable.
    streams, masks, present : mapping of str to Tensor
        As `Fusion.forward` takes them.
    baseline : mapping of str to Tensor of shape (B, T, D), optional
        Streams that say nothing; default zeros, the mean of standardised streams.
    steps : int, optional
        Points at which the gradient is taken.

    Returns
    -------
    Saliency
        Attributions; `avalign.plots.plot_saliency` draws them.

    Raises
    ------
    ParameterError
        If `steps` is below 1, or the score is not one number per item.
    MissingDependencyError
        If captum is not installed.

    References
    ----------
    .. [1] M. Sundararajan, A. Taly and Q. Yan, "Axiomatic attribution for deep networks",
       ICML 2017.
    """
    with import_guard(
        "integrated gradients need captum, which does not load",
        "pip install 'avalign[explain]'",
    ):
        from captum.attr import IntegratedGradients
    if steps < 1:
        raise ParameterError(f"steps is {steps}", "it has to be 1 or more")
    batch = complete(streams, masks, present)
    names, count = list(batch[0]), len(batch[0])

    def forward(*tensors: Tensor) -> Tensor:
        # Captum takes tensors in a row and repeats all of them for each step.
        values, flags, there = (
            dict(zip(names, tensors[first : first + count], strict=True))
            for first in range(0, 3 * count, count)
        )
        return checked_scores(score(values, flags, there), len(tensors[0]))

    given = tuple(batch[0].values())
    nothing = tuple(
        torch.zeros_like(batch[0][name])
        if baseline is None
        else zero_masked(baseline[name], batch[1][name])
        for name in names
    )
    further = (*batch[1].values(), *batch[2].values())
    with torch.enable_grad():
        found = IntegratedGradients(forward).attribute(
            given, nothing, additional_forward_args=further, n_steps=steps
        )
    with torch.no_grad():
        difference = as_array(
            (forward(*given, *further) - forward(*nothing, *further)).double()
        )
    total = sum(as_array(part.double().sum(dim=(1, 2))) for part in found)
    return Saliency(
        {name: as_array(part.float()) for name, part in zip(names, found, strict=True)},
        difference,
        np.asarray(total - difference),
    )
