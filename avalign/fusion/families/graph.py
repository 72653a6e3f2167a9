"""Graph fusion: messages between the rows of the streams, along time and across streams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from avalign.arguments import whole
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.attention import AdditiveAttention
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid, stack_streams, zero_masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class MessagePassing(nn.Module):
    """One round of messages on the grid of instants and streams.

    A node is a row of a stream. Beside itself it gets the mean of its neighbours under each
    of three relations, each with a matrix of its own: up to `reach` rows before it in its
    stream, as many after it, and the other streams at its instant. Nodes that are masked
    send nothing. Without an adjacency matrix, a round is linear in time.
    """

    def __init__(self, dim: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.own = nn.Linear(dim, dim)
        self.past = nn.Linear(dim, dim, bias=False)
        self.future = nn.Linear(dim, dim, bias=False)
        self.across = nn.Linear(dim, dim, bias=False)

    def forward(self, nodes: Tensor, mask: Tensor) -> Tensor:
        """Send and receive: nodes (B, T, S, dim) and their mask (B, T, S) to new nodes."""
        nodes = zero_masked(nodes, mask)
        there = mask[..., None].to(nodes.dtype)
        # The number of messages is summed as one more column.
        sent = torch.cat([nodes, there], dim=-1)
        received = (
            self.own(nodes)
            + self.past(_mean(_before(sent, self.reach)))
            + self.future(_mean(_before(sent.flip(1), self.reach).flip(1)))
            + self.across(_mean(sent.sum(dim=2, keepdim=True) - sent))
        )
        return zero_masked(received, mask)


class GraphFusion(Fusion):
    """A relational graph network over time and streams, read out at each instant.

    Nodes are the rows of all streams; edges join neighbours in time within a stream, and
    simultaneous rows of different streams. After the rounds of messages, the nodes of an
    instant are joined by additive attention, whose weights are the `weights`.

    When to use: streams are aligned, what matters is close in time, and rows are often
    missing: a node hears whichever neighbours there are. Linear in time, so fit for long
    recordings; it sees ``layers * reach`` rows to either side.

    Parameters
    ----------
    layers : int
        Rounds of messages.
    reach : int
        How many rows before and after a node are its neighbours.

    References
    ----------
    M. Schlichtkrull et al., "Modeling relational data with graph convolutional networks",
    ESWC 2018.

    J. Hu et al., "MMGCN: multimodal fusion via deep graph convolution network for emotion
    recognition in conversation", ACL 2021.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        layers: int = 2,
        reach: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        whole(reach, "reach", least=1)
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.rounds = nn.ModuleList(
            MessagePassing(out_dim, reach) for _ in range(whole(layers, "layers", least=1))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(out_dim) for _ in self.rounds)
        self.dropout = nn.Dropout(dropout)
        self.over_streams = AdditiveAttention(out_dim, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Pass messages, then join the nodes of each instant."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        nodes, there = stack_streams(encoded, inputs.masks)
        for messages, norm in zip(self.rounds, self.norms, strict=True):
            received = functional.gelu(messages(norm(nodes), there))
            nodes = nodes + self.dropout(received)
        sequence, stream_weights = self.over_streams(nodes, there)
        return make_output(
            sequence,
            any_valid(inputs.masks),
            weights=dict(zip(self.names, stream_weights.unbind(dim=-1), strict=True)),
        )


def _before(sent: Tensor, reach: int) -> Tensor:
    """Sum over the rows before each row, up to `reach` of them, along axis 1."""
    n_rows = sent.shape[1]
    padded = functional.pad(sent, (0, 0, 0, 0, reach, 0))
    return torch.stack([padded[:, step : step + n_rows] for step in range(reach)]).sum(dim=0)


def _mean(summed: Tensor) -> Tensor:
    """Mean from a sum whose last column counts; zeros where nothing was summed."""
    return summed[..., :-1] / summed[..., -1:].clamp(min=1)
