"""Influence of each stream on an answer: Shapley values, and what swapping it changes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import ParameterError
from avalign.fusion.scoring import as_array, complete, score_items

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from avalign.fusion.scoring import Batch, Score, Tensors

# Every subset of the streams is scored: 2 to the power of this.
_MOST_STREAMS = 12


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """What each stream adds to the score.

    Parameters
    ----------
    values : dict of str to ndarray of shape (B,), float64
        Shapley values; they sum to ``full - empty``. 0 for a stream an item lacks.
    full : ndarray of shape (B,), float64
        Score with all streams.
    empty : ndarray of shape (B,), float64
        Score without any.
    """

    values: dict[str, NDArray[np.float64]]
    full: NDArray[np.float64]
    empty: NDArray[np.float64]


@torch.no_grad()
def contributions(
    score: Score,
    streams: Tensors,
    masks: Tensors | None = None,
    present: Tensors | None = None,
    *,
    empty: float | Tensor = 0.0,
) -> Contributions:
    """Divide the score among the streams by exact Shapley values.

    The value of a stream is what it adds to the score when it joins, averaged over all
    orders in which the streams can join. Every subset is scored; a stream that is left
    out is absent (`present` is False), as the model met it in training.

    Parameters
    ----------
    score : callable
        See `avalign.fusion.scoring`.
    streams, masks, present : mapping of str to Tensor
        As `Fusion.forward` takes them.
    empty : float or Tensor of shape (B,), optional
        Score of knowing nothing, which no fusion can be asked for: such as the logarithm
        of a class's fraction of the training data.

    Returns
    -------
    Contributions
        One value per stream and item; `avalign.plots.plot_contributions` draws them.

    Raises
    ------
    ParameterError
        If there are more than 12 streams, or the score is not one number per item.

    References
    ----------
    .. [1] L. S. Shapley, "A value for n-person games", Contributions to the Theory of
       Games 2, 1953.
    """
    batch = complete(streams, masks, present)
    names = list(batch[0])
    if len(names) > _MOST_STREAMS:
        raise ParameterError(
            f"{len(names)} streams have {2 ** len(names)} subsets", "join some of them first"
        )
    there = {name: as_array(flags) for name, flags in batch[2].items()}
    items = len(there[names[0]])
    nothing = np.broadcast_to(as_array(torch.as_tensor(empty).double()), (items,)).copy()

    worth: dict[frozenset[str], NDArray[np.float64]] = {}
    for size in range(len(names) + 1):
        for members in combinations(names, size):
            wanted = np.zeros(items, bool)
            for name in members:
                wanted |= there[name]
            value = nothing.copy()
            if wanted.any():
                value[wanted] = score_items(score, _hide_others(batch, members), wanted)
            worth[frozenset(members)] = value

    values = {name: np.zeros(items) for name in names}
    for name in names:
        others = [other for other in names if other != name]
        for size in range(len(names)):
            orders = factorial(size) * factorial(len(others) - size) / factorial(len(names))
            for subset in combinations(others, size):
                added = worth[frozenset((*subset, name))] - worth[frozenset(subset)]
                values[name] += orders * added
    return Contributions(values, worth[frozenset(names)], nothing)


@dataclass(frozen=True, slots=True, eq=False)
class SwapTest:
    """What happens to the score when one stream is another item's.

    Parameters
    ----------
    change : dict of str to ndarray of shape (B,), float64
        Score with the stream swapped minus the item's own score, averaged over rounds;
        NaN for an item without the stream, or with nobody to swap with.
    size : dict of str to float
        Mean of the absolute change over rounds and items: near 0 for a stream that the
        score does not depend on; NaN where nothing could be swapped.
    own : ndarray of shape (B,), float64
        Score of each item as it is.
    """

    change: dict[str, NDArray[np.float64]]
    size: dict[str, float]
    own: NDArray[np.float64]


@torch.no_grad()
def swap_test(
    score: Score,
    streams: Tensors,
    masks: Tensors | None = None,
    present: Tensors | None = None,
    *,
    rounds: int = 4,
    seed: int = 0,
) -> SwapTest:
    """Measure how the score changes when one stream is another item's.

    Unlike zeros, another item's stream is as likely as any; what changes is only that it
    does not belong to the others.

    Parameters
    ----------
    score : callable
        See `avalign.fusion.scoring`.
    streams, masks, present : mapping of str to Tensor
        As `Fusion.forward` takes them; two items or more.
    rounds : int, optional
        Partners for each item.
    seed : int, optional
        Chooses the partners; the same seed, the same answer.

    Returns
    -------
    SwapTest
        The change for each stream; `avalign.plots.plot_swap` draws it.

    Raises
    ------
    ParameterError
        If there is one item, `rounds` is below 1, or the score is not one number per item.

    References
    ----------
    .. [1] S. Frank, E. Bugliarello and D. Elliott, "Vision-and-language or
       vision-for-language? On cross-modal influence in multimodal transformers", EMNLP
       2021: inputs of one modality removed or exchanged to measure its influence.
    """
    batch = complete(streams, masks, present)
    items = len(next(iter(batch[0].values())))
    if items < 2:
        raise ParameterError("one item has nobody to swap with", "give two or more")
    if rounds < 1:
        raise ParameterError(f"rounds is {rounds}", "it has to be 1 or more")
    generator = np.random.default_rng(seed)
    everyone = np.ones(items, bool)
    own = score_items(score, batch, everyone)
    change, size = {}, {}
    for name, flags in batch[2].items():
        holders = np.flatnonzero(as_array(flags))
        changes = np.full((rounds, items), np.nan)
        for row in changes if len(holders) > 1 else ():
            # A cyclic shift among the items that have the stream leaves none its own.
            ring = generator.permutation(holders)
            partner = np.arange(items)
            partner[ring] = np.roll(ring, int(generator.integers(1, len(ring))))
            swapped = score_items(score, _swap_stream(batch, name, partner), everyone)
            row[holders] = (swapped - own)[holders]
        change[name] = changes.mean(axis=0)
        sizes = np.abs(changes[:, holders]) if len(holders) > 1 else np.array([np.nan])
        size[name] = float(sizes.mean())
    return SwapTest(change, size, own)


def _hide_others(batch: Batch, members: tuple[str, ...]) -> Batch:
    """Make all streams but some absent."""
    values, flags, there = batch
    return values, flags, {name: there[name] & (name in members) for name in there}


def _swap_stream(batch: Batch, name: str, partner: NDArray[np.intp]) -> Batch:
    """Give each item its partner's stream."""
    values, flags, there = (
        part | {name: part[name][torch.from_numpy(partner).to(part[name].device)]}
        for part in batch
    )
    return values, flags, there
