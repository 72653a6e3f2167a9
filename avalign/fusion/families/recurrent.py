"""A recurrent network over all streams at once (multimodal LSTM or GRU)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from avalign.arguments import whole
from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid
from avalign.fusion.layers.onnx_recurrence import run_recurrent
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

_CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class RecurrentFusion(Fusion):
    """An LSTM or GRU whose state carries all streams through time.

    Rows without any stream are skipped: the state passes over them unchanged, wherever
    they are, in both directions.

    When to use: order and history matter, and the model should be able to run as the
    streams come in (with ``bidirectional=False``).

    Parameters
    ----------
    cell : {"lstm", "gru"}
        Kind of recurrence.
    hidden : int, optional
        Width of the state; `out_dim` by default.
    layers : int
        Recurrent layers in each direction.
    bidirectional : bool
        Run backwards in time, too.

    Raises
    ------
    ParameterError
        If there is no such cell.

    References
    ----------
    J. Ren et al., "Look, listen and learn: a multimodal LSTM for speaker identification",
    AAAI 2016.

    S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9(8),
    1997.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        cell: Literal["lstm", "gru"] = "lstm",
        hidden: int | None = None,
        layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        if cell not in _CELLS:
            raise ParameterError(
                f"there is no recurrent cell {cell!r}", f"choose one of {', '.join(_CELLS)}"
            )
        hidden = checked_width(hidden, out_dim)
        self.encoders = StreamEncoders(self.dims, hidden, dropout=dropout)
        width = len(self.names) * (hidden + 1)
        between = dropout if whole(layers, "layers", least=1) > 1 else 0.0
        # One network for each direction, not torch's bidirectional one: backwards must
        # begin at the last valid row of each item, not in its padding.
        self.directions = nn.ModuleList(
            _CELLS[cell](width, hidden, layers, batch_first=True, dropout=between)
            for _ in range(1 + bidirectional)
        )
        self.output = nn.Linear(hidden * len(self.directions), out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Run through time."""
        mask = any_valid(inputs.masks)
        encoded = list(self.encoders(inputs.streams, inputs.masks).values())
        there = torch.stack(list(inputs.masks.values()), dim=-1).to(encoded[0].dtype)
        rows = torch.cat([*encoded, there], dim=-1)
        states = [
            _run(network, rows, _time_order(mask, backwards=bool(number)))
            for number, network in enumerate(self.directions)
        ]
        return make_output(self.output(torch.cat(states, dim=-1)), mask)


def _time_order(mask: Tensor, *, backwards: bool) -> Tensor:
    """Index (B, T) of each row when valid rows come first, in order of their time.

    A permutation without sorting: valid rows are counted off, the others follow.
    """
    n_valid = mask.sum(dim=1, keepdim=True)
    valid = mask.long().cumsum(dim=1)
    others = n_valid + (~mask).long().cumsum(dim=1) - 1
    return torch.where(mask, n_valid - valid if backwards else valid - 1, others)


def _run(network: nn.Module, rows: Tensor, order: Tensor) -> Tensor:
    """Run over rows in the given order; the states come back in the rows' own order."""
    index = order[..., None]
    ordered = torch.zeros_like(rows).scatter(1, index.expand_as(rows), rows)
    assert isinstance(network, nn.RNNBase)  # a ModuleList loses the type
    states = run_recurrent(network, ordered)
    return states.gather(1, index.expand_as(states))
