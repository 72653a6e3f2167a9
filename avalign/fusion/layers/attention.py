"""Multi-head attention for every family that attends: one implementation, one set of masks."""

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


def time_window_bias(
    query_times: Tensor, key_times: Tensor, width: float, *, hard: bool = False
) -> Tensor:
    """Bias (..., Q, K) that draws attention to keys close in time.

    ``-(distance / width) ** 2 / 2``; if `hard`, 0 up to `width` away and -inf beyond.
    Times (..., Q) and (..., K) and the width share a unit.
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

    Queries (B, H, Q, d) and keys and values (B, H, K, d) give the context (B, H, Q, d) and,
    if wanted, the weights (B, H, Q, K) before dropout. `bias` (Q, K), (B, Q, K) or
    (B, H, Q, K) is added to the logits; -inf forbids.
    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """
    allowed = _allowed(key_mask, bias)
    mask = None
    if allowed is not None:
        # Backends differ on a query without any key: here it attends to everything, and its
        # result is discarded.
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
    """Multi-head attention of one sequence to another, or to itself (see `attend`)."""

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
        """Attend from rows (B, Q, dim) to a memory (B, K, key_dim), or to themselves.

        Gives rows (B, Q, dim), zeros where a query has no valid key, and the weights
        (B, heads, Q, K) if they were asked for. For `bias`, see `attend`.
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
    """Additive attention: row k scores ``v . tanh(W q + U k + b)`` for query q, or without q.

    Source: D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly
    learning to align and translate", ICLR 2015.
    """

    def __init__(self, key_dim: int, hidden: int, *, query_dim: int | None = None) -> None:
        super().__init__()
        self.key = nn.Linear(key_dim, hidden)
        self.query = None if query_dim is None else nn.Linear(query_dim, hidden, bias=False)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(
        self, rows: Tensor, mask: Tensor, query: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Weigh rows (..., N, key_dim) by a query (..., query_dim), or by themselves.

        Gives the context (..., key_dim), zeros where no row is valid, and the weights (..., N).
        """
        hidden = self.key(rows)
        if self.query is not None and query is not None:
            hidden = hidden + self.query(query)[..., None, :]
        weights = masked_softmax(self.score(hidden.tanh()).squeeze(-1), mask)
        return (weights[..., None, :] @ rows).squeeze(-2), weights
