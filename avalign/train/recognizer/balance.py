"""Measure how much each stream contributes to the joint loss.

A joint loss is often met by the easiest stream, and the others stop learning. Losses of each
stream alone, added to the joint one, prevent it; the report measures it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from avalign.errors import ParameterError

Tensors: TypeAlias = Mapping[str, Tensor]
# Of (streams, masks, present, items): the items of the batch that are asked for.
Loss: TypeAlias = Callable[[Tensors, Tensors, Tensors, Tensor], Tensor]


def unimodal_losses(
    loss: Loss, streams: Tensors, masks: Tensors | None = None, present: Tensors | None = None
) -> dict[str, Tensor]:
    """Compute the loss of each stream alone, all others absent.

    Their weighted sum is added to the joint loss in training, so that no stream is carried
    along by another.

    Parameters
    ----------
    loss : callable
        Takes ``(streams, masks, present, items)`` and returns one loss (): the first three
        as a fusion takes them, of the items of the batch (int64) whose labels count.
    streams : mapping of str to Tensor of shape (B, T, D)
        The batch.
    masks : mapping of str to Tensor of shape (B, T), bool, optional
        Valid rows.
    present : mapping of str to Tensor of shape (B,), bool, optional
        Who has the stream.

    Returns
    -------
    dict of str to Tensor of shape ()
        Losses by stream, differentiable; a stream that nobody has is left out.

    Raises
    ------
    ParameterError
        If there is no stream, or the loss is not one number.

    References
    ----------
    .. [1] W. Wang, D. Tran and M. Feiszli, "What makes training multi-modal classification
       networks hard?", CVPR 2020.
    """
    masks, present = _complete(streams, masks, present)
    losses = {}
    for name in sorted(streams):
        items = present[name].nonzero()[:, 0]
        if len(items):
            losses[name] = _checked(
                loss(
                    {other: rows[items] for other, rows in streams.items()},
                    {other: mask[items] for other, mask in masks.items()},
                    {
                        other: torch.full_like(present[name][items], other == name)
                        for other in streams
                    },
                    items,
                )
            )
    return losses


@dataclass(frozen=True, slots=True)
class StreamBalance:
    """How much the joint loss learns from one stream."""

    unimodal_loss: float  # of the stream alone; NaN where nobody has it
    gradient_share: float  # of all gradients, 0 to 1; they sum to 1


@dataclass(frozen=True, slots=True)
class BalanceReport:
    """Whether the joint loss learns from all streams.

    Parameters
    ----------
    streams : dict of str to StreamBalance
        Each stream.
    joint_loss : float
        Loss of all together.
    gradient_ratio : float
        Largest pull over smallest; 1 is even, infinite where a stream is not used at all.
    dominant : str or None
        The stream that the loss pulls at most, if the ratio is beyond the limit.
    neglected : tuple of str
        Streams that it then pulls at less than the dominant one by more than the limit.
    """

    streams: dict[str, StreamBalance]
    joint_loss: float
    gradient_ratio: float
    dominant: str | None
    neglected: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Turn the report into what JSON can say, infinity aside.

        Returns
        -------
        dict
            Its fields.
        """
        return asdict(self)


def balance_report(
    loss: Loss,
    streams: Tensors,
    masks: Tensors | None = None,
    present: Tensors | None = None,
    *,
    limit: float = 4.0,
) -> BalanceReport:
    """Measure how hard the joint loss pulls at each stream.

    The pull is the length of the loss's gradient by the values of the stream, each counted
    in standard deviations of its column, so that neither the unit nor, on the average, the
    number of columns decides: how much the loss would feel a change of a usual size. The
    gradients of parameters are left alone.

    Parameters
    ----------
    loss, streams, masks, present
        As for `unimodal_losses`.
    limit : float, optional
        Ratio of pulls from which the streams count as out of balance.

    Returns
    -------
    BalanceReport
        Pulls and losses of each stream, and which one dominates.

    Raises
    ------
    ParameterError
        If there is no stream, the loss is not one number, or the limit is below 1.

    References
    ----------
    .. [1] X. Peng et al., "Balanced multimodal learning via on-the-fly gradient
       modulation", CVPR 2022.
    """
    if not limit >= 1:
        raise ParameterError(f"the limit is {limit:g}", "a ratio is 1 or more")
    masks, present = _complete(streams, masks, present)
    with torch.enable_grad():
        given = {
            name: streams[name].detach().clone().requires_grad_() for name in sorted(streams)
        }
        everyone = torch.arange(len(next(iter(given.values()))))
        joint = _checked(loss(given, masks, present, everyone))
        found = torch.autograd.grad(joint, list(given.values()), allow_unused=True)
    pull = {
        name: 0.0 if gradient is None else _pull(streams[name], gradient, masks[name])
        for (name, _), gradient in zip(given.items(), found, strict=True)
    }
    with torch.no_grad():
        alone = unimodal_losses(loss, streams, masks, present)
    total, most = sum(pull.values()), max(pull, key=lambda name: pull[name])
    least = min(pull.values())
    ratio = 1.0 if total == 0 else pull[most] / least if least > 0 else float("inf")
    return BalanceReport(
        {
            name: StreamBalance(
                float(alone[name]) if name in alone else float("nan"),
                fraction / total if total > 0 else 0.0,
            )
            for name, fraction in pull.items()
        },
        float(joint.detach()),
        ratio,
        most if ratio > limit else None,
        tuple(name for name, fraction in pull.items() if fraction * limit < pull[most]),
    )


def _pull(rows: Tensor, gradient: Tensor, mask: Tensor) -> float:
    """Length of the gradient in standard deviations of the columns."""
    if not bool(mask.any()):
        return 0.0
    valid = rows.detach()[mask].double()
    deviation = valid.std(dim=0, correction=0)
    return float((gradient[mask].double() * deviation).norm())


def _complete(
    streams: Tensors, masks: Tensors | None, present: Tensors | None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Spell out masks, and who has a stream."""
    if not streams:
        raise ParameterError("there is no stream to balance", "give the streams of a batch")
    whole, there = {}, {}
    for name, rows in streams.items():
        mask = (masks or {}).get(name)
        whole[name] = torch.ones_like(rows[..., 0], dtype=torch.bool) if mask is None else mask
        there[name] = whole[name].any(dim=1)
        has = (present or {}).get(name)
        if has is not None:
            there[name] = there[name] & has
    return whole, there


def _checked(loss: Tensor) -> Tensor:
    if not isinstance(loss, Tensor) or loss.ndim:
        met = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise ParameterError(
            f"the loss is {met}, wanted one number", "take the mean over items"
        )
    return loss
