"""Blocks of a transformer, for all families that stack attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from avalign.fusion.layers.attention import MultiHeadAttention
from avalign.fusion.layers.masking import masked_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Memory(NamedTuple):
    """A sequence that can be attended to; `bias` (Q, K) is added to the logits."""

    rows: Tensor
    mask: Tensor
    bias: Tensor | None = None


class FeedForward(nn.Sequential):
    """The position-wise half of a transformer block, with its norm in front."""

    def __init__(self, dim: int, *, dropout: float = 0.0, expansion: int = 2) -> None:
        super().__init__(
            nn.LayerNorm(dim),
            nn.Linear(dim, expansion * dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(expansion * dim, dim),
        )


class CrossAttention(nn.Module):
    """Attend to every memory by itself, and average over those that are there."""

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim)
        self.memory_norm = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads, dropout=dropout)

    def forward(
        self, rows: Tensor, memories: Sequence[Memory], *, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Attend from rows (B, Q, dim); beside the answers, a map (B, heads, Q, K) each."""
        if not memories:
            return torch.zeros_like(rows), []
        queries = self.query_norm(rows)
        answers, weights = zip(
            *(
                self.attention(
                    queries,
                    self.memory_norm(memory.rows),
                    key_mask=memory.mask,
                    bias=memory.bias,
                    need_weights=need_weights,
                )
                for memory in memories
            ),
            strict=True,
        )
        there = torch.stack([memory.mask.any(dim=1) for memory in memories], dim=-1)
        return masked_mean(torch.stack(answers, dim=2), there[:, None], dim=2), list(weights)


class TransformerBlock(nn.Module):
    """Self-attention, then feed-forward; norms first, both residual.

    Source: R. Xiong et al., "On layer normalization in the transformer architecture",
    ICML 2020.
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = MultiHeadAttention(dim, heads, dropout=dropout)
        self.feed_forward = FeedForward(dim, dropout=dropout)

    def forward(
        self, rows: Tensor, mask: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Give new rows (B, T, dim), undefined where masked, and a map (B, heads, T, T)."""
        seen, weights = self.attention(
            self.norm(rows), key_mask=mask, need_weights=need_weights
        )
        rows = rows + seen
        return rows + self.feed_forward(rows), weights


class Transformer(nn.Module):
    """A stack of transformer blocks."""

    def __init__(self, dim: int, heads: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, heads, dropout=dropout) for _ in range(layers)
        )

    def forward(
        self, rows: Tensor, mask: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Apply one block after the other; a map (B, heads, T, T) for each, if asked for."""
        maps = []
        for block in self.blocks:
            rows, weights = block(rows, mask, need_weights=need_weights)
            maps.append(weights)
        return rows, maps


class AttentionMaps:
    """Attention weights by name, gathered layer by layer."""

    def __init__(self) -> None:
        self._layers: dict[str, list[Tensor]] = {}

    def add(self, name: str, *layers: Tensor | None) -> None:
        """Add maps (B, heads, Q, K) of some layers under a name such as "lips->audio"."""
        for weights in layers:
            if weights is not None:
                self._layers.setdefault(name, []).append(weights)

    def merge_layers(self) -> dict[str, Tensor]:
        """Put the heads of all layers side by side: (B, layers * heads, Q, K) by name."""
        return {name: torch.cat(maps, dim=1) for name, maps in self._layers.items()}
