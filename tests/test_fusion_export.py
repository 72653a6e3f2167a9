"""Fusions as ONNX files: the same answers, at any batch and length."""

import numpy as np
import pytest
import torch

from avalign.errors import MediaError, MissingDependencyError, ParameterError
from avalign.fusion import build_fusion, list_fusions
from avalign.fusion.export import (
    NOT_EXPRESSIBLE,
    _check_free_axes,
    export_fusion,
    mask_name,
)
from avalign.fusion.interface import Fusion, make_output

DIMS = {"audio": 5, "lips": 7}


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def trained(name, **options):
    """A family whose every weight matters, those that begin at 0 too."""
    fusion = build_fusion(name, dims=DIMS, out_dim=8, **options)
    with torch.no_grad():
        for weights in fusion.parameters():
            weights += 0.1 * torch.randn_like(weights)
    return fusion.train()


def batch_of(items, lengths):
    streams = {
        name: torch.randn(items, rows, width)
        for (name, width), rows in zip(DIMS.items(), lengths, strict=True)
    }
    masks = {name: torch.rand(rows.shape[:2]) > 0.3 for name, rows in streams.items()}
    masks["audio"][:, 0] = True
    masks["lips"][0] = False  # the first clip has no lips
    return streams, masks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in list_fusions() if name not in NOT_EXPRESSIBLE),
        ("recurrent", {"cell": "gru", "layers": 2, "bidirectional": False}),
    ],
)
def test_parity(name, options, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    fusion = trained(name, **options)
    export_fusion(fusion, tmp_path / "fusion.onnx")
    assert fusion.training
    session = onnxruntime.InferenceSession(tmp_path / "fusion.onnx")
    fusion.eval()
    for items, lengths in ((3, (6, 6)), (1, (1, 1)), (5, (40, 40)), (2, (9, 31))):
        if fusion.aligned and len(set(lengths)) > 1:
            continue
        streams, masks = batch_of(items, lengths)
        with torch.no_grad():
            expected = fusion(streams, masks)
        found = session.run(
            ["sequence", "mask", "pooled"],
            {name: rows.numpy() for name, rows in streams.items()}
            | {mask_name(name): mask.numpy() for name, mask in masks.items()},
        )
        for ours, theirs in zip(
            (expected.sequence, expected.mask, expected.pooled), found, strict=True
        ):
            assert theirs.shape == ours.shape
            np.testing.assert_allclose(theirs, ours.numpy(), atol=1e-4)


def test_what_cannot_be_expressed_is_known_and_explained():
    assert set(NOT_EXPRESSIBLE) <= set(list_fusions())
    assert all(reason.endswith(".") for reason in NOT_EXPRESSIBLE.values())


class Moody(Fusion):
    """Decides by looking at the data, which no graph of operations can."""

    def fuse(self, inputs):
        rows = inputs.streams["audio"]
        rows = rows if bool(rows.sum() > 0) else -rows
        return make_output(rows, inputs.masks["audio"])


@pytest.mark.slow
def test_a_fusion_that_onnx_cannot_express_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="ONNX cannot express Moody"):
        export_fusion(Moody(DIMS, 5), tmp_path / "moody.onnx")
    assert not list(tmp_path.iterdir())


class Stiff(Fusion):
    """Gives seven rows of two items, whatever comes in."""

    def fuse(self, inputs):
        rows = torch.zeros_like(inputs.streams["audio"]).expand(2, 7, 5)
        return make_output(rows, torch.ones(2, 7, dtype=torch.bool))


@pytest.mark.slow
def test_a_graph_of_fixed_length_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="ONNX cannot express Stiff"):
        export_fusion(Stiff(DIMS, 5), tmp_path / "stiff.onnx")
    assert not list(tmp_path.iterdir())


def test_axes_that_are_fixed_are_found(tmp_path):
    onnx = pytest.importorskip("onnx")
    found = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("audio", ["batch", "time", 5]), ("sequence", ["batch", 7, 8]))
    ]
    node = onnx.helper.make_node("Identity", ["audio"], ["sequence"])
    graph = onnx.helper.make_graph([node], "fixed", found[:1], found[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "fixed.onnx")
    _check_free_axes(tmp_path / "fixed.onnx", {"audio": (0, 1), "sequence": (0,)}, "Stiff")
    with pytest.raises(ParameterError, match="axis 1 of 'sequence' is 7 for good"):
        _check_free_axes(
            tmp_path / "fixed.onnx", {"audio": (0, 1), "sequence": (0, 1)}, "Stiff"
        )


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "fusion.onnx").write_text("mine")
    with pytest.raises(MediaError, match="exists"):
        export_fusion(build_fusion("early", dims=DIMS, out_dim=8), tmp_path / "fusion.onnx")
    assert (tmp_path / "fusion.onnx").read_text() == "mine"


def test_without_onnx_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match=r"avalign\[export\]"):
        export_fusion(build_fusion("early", dims=DIMS, out_dim=8), tmp_path / "fusion.onnx")
