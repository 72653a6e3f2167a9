"""Recurrent networks that ONNX takes as they are, instead of unrolled row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

# Torch's order of gates, and where each of ONNX's is found in it.
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


def run_recurrent(network: nn.RNNBase, rows: Tensor) -> Tensor:
    """Run a network over rows, in one direction.

    ``torch.export`` unrolls a recurrent network over the rows of its example, so that the
    graph would fit no other length. While an ONNX file is made, each layer therefore
    becomes ONNX's own operator.

    Parameters
    ----------
    network : torch.nn.LSTM or torch.nn.GRU
        In one direction, with biases, batch first.
    rows : Tensor of shape (B, T, D)
        What it reads.

    Returns
    -------
    Tensor of shape (B, T, H)
        The last layer's states.

    References
    ----------
    .. [1] ONNX operators LSTM and GRU, https://onnx.ai/onnx/operators/.
    """
    if not torch.onnx.is_in_onnx_export():
        found: Tensor = network(rows)[0]
        return found
    states = rows.transpose(0, 1)
    for weights in network.all_weights:
        states = _onnx_layer(network, states, *weights)
    return states.transpose(0, 1)


def _onnx_layer(
    network: nn.RNNBase,
    rows: Tensor,
    from_rows: Tensor,
    from_state: Tensor,
    rows_bias: Tensor,
    state_bias: Tensor,
) -> Tensor:
    """ONNX's operator over rows (T, B, D); gives states (T, B, H)."""
    from torch.onnx.ops import symbolic

    width, kind = network.hidden_size, network.mode
    ours = [
        _reorder_gates(part, kind) for part in (from_rows, from_state, rows_bias, state_bias)
    ]
    attributes: dict[str, Any] = {"hidden_size": width}
    if kind == "GRU":
        # As in torch, the reset gate multiplies the state's term after its bias.
        attributes["linear_before_reset"] = 1
    states = symbolic(
        kind,
        # ONNX has an axis of directions first, and both biases in a row.
        [rows, ours[0][None], ours[1][None], torch.cat(ours[2:])[None]],
        attributes,
        dtype=rows.dtype,
        shape=(rows.shape[0], 1, rows.shape[1], width),
    )
    return states.squeeze(1)


def _reorder_gates(weights: Tensor, kind: str) -> Tensor:
    """Bring the gates, blocks along the first axis, into ONNX's order."""
    order = _GATES[kind]
    gates = weights.reshape(len(order), -1, *weights.shape[1:])
    return gates[list(order)].flatten(0, 1)
