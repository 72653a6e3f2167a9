"""Multi-head attention for every family that attends: one place, one set of masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from avalign.errors import ParameterError
from avalign.fusion.layers.masking import masked_softmax
from avalign.fusion.layers.options import checked_dropout

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AdditiveAttention", "MultiHeadAttention", "attend", "time_window_bias"]


def time_window_bias(
    query_times: Tensor, key_times: Tensor, width: float, *, hard: bool = False
) -> Tensor:
    """Bias that draws attention to keys close in time.

    Parameters
    ----------
    query_times : Tensor of shape (..., Q)
        Times, in seconds or as row numbers; with or without a batch axis.
    key_times : Tensor of shape (..., K)
        Times of the keys, in the same unit and on the same clock.
    width : float
        Standard deviation of the window, or its half-width where it is hard; positive,
        in the unit of the times.
    hard : bool
        Forbid keys farther than `width` away instead of making them unlikely.

    Returns
    -------
    Tensor of shape (..., Q, K), float32
        To be added to the logits: ``-(distance / width) ** 2 / 2``; where hard, 0 inside
        the window and -inf outside.

    Raises
    ------
    ParameterError
        If the width is not positive.
    """
    if not width > 0:
        raise ParameterError(f"the width of the time window is {width}; it must be positive")
    # Differences first: seconds of a long recording would lose milliseconds in float32.
    distance = (query_times[..., :, None] - key_times[..., None, :]).abs().float()
    if hard:
        return torch.where(distance <= width, 0.0, -math.inf)
    return -0.5 * (distance / width) ** 2


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    key_mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    need_weights: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention that gives zeros where there is nothing to attend to.

    Parameters
    ----------
    query : Tensor of shape (B, H, Q, d)
        Queries of H heads.
    key, value : Tensor of shape (B, H, K, d)
        Keys and values.
    key_mask : Tensor of shape (B, K), bool, optional
        True where a key may be attended to; by default everywhere.
    bias : Tensor, optional
        Added to the logits; shape (Q, K), (B, Q, K) or (B, H, Q, K). -inf forbids.
    dropout : float
        Share of weights to drop.
    need_weights : bool
        Compute the weights too; costs memory in Q times K.

    Returns
    -------
    context : Tensor of shape (B, H, Q, d)
        Weighted values; zeros where a query has no key.
    weights : Tensor of shape (B, H, Q, K) or None
        Weights before dropout; each query's sum to 1, or to 0 where it has no key.

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """
    allowed = _allowed(key_mask, bias)
    mask = None
    if allowed is not None:
        # What the backends do with a query without any key differs. Here it may look
        # at everything, and its answer is thrown away.
        has_key = allowed.any(dim=-1, keepdim=True)
        mask = allowed | ~has_key
        if bias is not None:
            added = _with_heads(bias).to(query.dtype).masked_fill(~allowed, 0.0)
            mask = added.masked_fill(~mask, -math.inf)
    context = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, dropout_p=dropout
    )
    if allowed is not None:
        context = context.masked_fill(~has_key, 0.0)
    if not need_weights:
        return context, None
    logits = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if allowed is None:
        return context, torch.softmax(logits, dim=-1)
    if bias is not None:
        logits = logits + added
    return context, masked_softmax(logits, allowed)


def _with_heads(bias: Tensor) -> Tensor:
    """Give a bias of shape (Q, K) or (B, Q, K) the axes that it lacks."""
    if bias.ndim == 2:
        return bias[None, None]
    return bias[:, None] if bias.ndim == 3 else bias


def _allowed(key_mask: Tensor | None, bias: Tensor | None) -> Tensor | None:
    """Which keys a query may see, broadcastable to (B, H, Q, K); None: all."""
    allowed = None if key_mask is None else key_mask[:, None, None, :]
    if bias is None:
        return allowed
    reachable = _with_heads(bias) > -math.inf
    return reachable if allowed is None else allowed & reachable


class MultiHeadAttention(nn.Module):
    """Multi-head attention of one sequence to another, or to itself.

    Parameters
    ----------
    dim : int
        Width of the queries and of the output; a multiple of `heads`.
    heads : int
        Number of heads.
    key_dim : int, optional
        Width of the sequence that is attended to; `dim` by default.
    dropout : float
        Share of attention weights to drop in training.

    Raises
    ------
    ParameterError
        If the heads do not divide the width.

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """

    def __init__(
        self, dim: int, heads: int = 4, *, key_dim: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ParameterError(
                f"{heads} attention heads do not divide a width of {dim}",
                "choose a number of heads that divides it",
            )
        self.heads = heads
        self.dropout = checked_dropout(dropout)
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(key_dim or dim, dim)
        self.value = nn.Linear(key_dim or dim, dim)
        self.output = nn.Linear(dim, dim)

    def forward(
        self,
        query: Tensor,
        memory: Tensor | None = None,
        *,
        key_mask: Tensor | None = None,
        bias: Tensor | None = None,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Parameters
        ----------
        query : Tensor of shape (B, Q, dim)
            Rows that ask.
        memory : Tensor of shape (B, K, key_dim), optional
            Rows that are attended to; `query` by default (self-attention).
        key_mask : Tensor of shape (B, K), bool, optional
            True where a row of `memory` is valid.
        bias : Tensor of shape (Q, K), (B, Q, K) or (B, heads, Q, K), optional
            Added to the logits, such as `time_window_bias`; -inf forbids.
        need_weights : bool
            Return the attention weights too.

        Returns
        -------
        rows : Tensor of shape (B, Q, dim)
            Zeros where a query has no valid key.
        weights : Tensor of shape (B, heads, Q, K) or None
            Attention weights, if they were asked for.
        """
        memory = query if memory is None else memory
        context, weights = attend(
            self._split(self.query(query)),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            key_mask=key_mask,
            bias=bias,
            dropout=self.dropout if self.training else 0.0,
            need_weights=need_weights,
        )
        rows = self.output(context.transpose(1, 2).flatten(2))
        allowed = _allowed(key_mask, bias)
        if allowed is not None:
            # The output layer's own bias would turn "nothing to attend to" into something.
            has_key = allowed.any(dim=-1, keepdim=True).any(dim=-3)
            rows = rows.masked_fill(~has_key, 0.0)
        return rows, weights

    def _split(self, rows: Tensor) -> Tensor:
        """Turn (B, T, dim) into (B, heads, T, dim / heads)."""
        width = rows.shape[2] // self.heads
        return rows.reshape(*rows.shape[:2], self.heads, width).transpose(1, 2)


class AdditiveAttention(nn.Module):
    """Additive attention: a small network scores each row, alone or against a query.

    The score of a row ``k`` for a query ``q`` is ``v . tanh(W q + U k + b)``.

    Parameters
    ----------
    key_dim : int
        Width of the rows.
    hidden : int
        Width of the network.
    query_dim : int, optional
        Width of the queries; without it there are none, and rows are scored alone.

    References
    ----------
    D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to
    align and translate", ICLR 2015.
    """

    def __init__(self, key_dim: int, hidden: int, *, query_dim: int | None = None) -> None:
        super().__init__()
        self.key = nn.Linear(key_dim, hidden)
        self.query = None if query_dim is None else nn.Linear(query_dim, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(
        self, rows: Tensor, mask: Tensor, query: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Parameters
        ----------
        rows : Tensor of shape (..., N, key_dim)
            Rows to choose from.
        mask : Tensor of shape (..., N), bool
            True where they are valid.
        query : Tensor of shape (..., query_dim), optional
            What is looked for, where the module was made for queries.

        Returns
        -------
        context : Tensor of shape (..., key_dim)
            Weighted rows; zeros where none is valid.
        weights : Tensor of shape (..., N)
            They sum to 1, or to 0 where no row is valid.
        """
        hidden = self.key(rows)
        if self.query is not None and query is not None:
            hidden = hidden + self.query(query)[..., None, :]
        weights = masked_softmax(self.score(hidden.tanh()).squeeze(-1), mask)
        return (weights[..., None, :] @ rows).squeeze(-2), weights
