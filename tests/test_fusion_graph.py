"""Message passing, followed by hand."""

import pytest

torch = pytest.importorskip("torch")

from avalign.errors import ParameterError  # noqa: E402
from avalign.fusion import build_fusion  # noqa: E402
from avalign.fusion.families.graph import MessagePassing  # noqa: E402


def passing(own=0.0, past=0.0, future=0.0, across=0.0, reach=1):
    """Messages between nodes of one column; each relation multiplies by a number."""
    messages = MessagePassing(1, reach)
    with torch.no_grad():
        for part, factor in (
            (messages.own, own),
            (messages.past, past),
            (messages.future, future),
            (messages.across, across),
        ):
            part.weight.fill_(factor)
        messages.own.bias.zero_()
    return messages


def test_three_nodes_by_hand():
    """Two instants of two streams, one of the four missing: a graph of three nodes.

    lips   5 --- (missing)
           |
    audio  2 --- 3
    """
    nodes = torch.tensor([[[2.0, 5.0], [3.0, 99.0]]])[..., None]
    mask = torch.tensor([[[True, True], [True, False]]])
    heard = passing(own=1, past=10, future=100, across=1000)(nodes, mask)
    assert heard.flatten().tolist() == [
        2 + 100 * 3 + 1000 * 5,
        5 + 1000 * 2,
        3 + 10 * 2,
        0,
    ]


def test_a_chain_hears_the_mean_of_those_in_reach():
    nodes = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])[None, :, None, None]
    mask = torch.tensor([True, True, False, True, True])[None, :, None]
    past = passing(past=1, reach=2)(nodes, mask).flatten()
    assert past.tolist() == [0, 1, 0, 2, 8]
    future = passing(future=1, reach=2)(nodes, mask).flatten()
    assert future.tolist() == [2, 8, 0, 16, 0]


def test_three_streams_hear_the_mean_of_the_others():
    nodes = torch.tensor([2.0, 4.0, 8.0])[None, None, :, None]
    heard = passing(across=1)(nodes, torch.ones(1, 1, 3).bool()).flatten()
    assert heard.tolist() == [6, 5, 3]


def test_messages_equal_those_over_an_adjacency_matrix():
    torch.manual_seed(0)
    rows, streams, reach = 7, 3, 2
    messages = MessagePassing(4, reach).double()
    nodes = torch.randn(1, rows, streams, 4).double()
    mask = torch.rand(1, rows, streams) > 0.3
    flat, there = nodes.flatten(1, 2)[0], mask.flatten()
    instant = torch.arange(rows).repeat_interleave(streams)
    stream = torch.arange(streams).repeat(rows)
    before = instant[:, None] - instant[None, :]
    alike = stream[:, None] == stream[None, :]
    expected = messages.own(flat)
    for relation, edges in (
        (messages.past, alike & (before >= 1) & (before <= reach)),
        (messages.future, alike & (before <= -1) & (before >= -reach)),
        (messages.across, ~alike & (before == 0)),
    ):
        adjacency = (edges & there[None, :]).double()
        adjacency = adjacency / adjacency.sum(dim=1, keepdim=True).clamp(min=1)
        expected = expected + relation(adjacency @ flat)
    expected[~there] = 0
    torch.testing.assert_close(messages(nodes, mask).flatten(1, 2)[0], expected)


def test_fusion_sees_as_far_as_its_rounds_reach():
    torch.manual_seed(0)
    fusion = build_fusion("graph", {"audio": 3, "lips": 4}, 8, layers=2, reach=2)
    audio = torch.randn(1, 15, 3, requires_grad=True)
    out = fusion({"audio": audio, "lips": torch.randn(1, 15, 4)})
    (slope,) = torch.autograd.grad(out.sequence[0, 7].square().sum(), audio)
    touched = slope[0].abs().sum(dim=-1) > 0
    assert touched.tolist() == [3 <= row <= 11 for row in range(15)]


def test_graph_options_are_checked():
    with pytest.raises(ParameterError, match="reach is 0"):
        build_fusion("graph", {"audio": 3}, 8, reach=0)
