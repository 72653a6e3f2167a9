"""Recognisers as ONNX files: the same answers, at any length and batch."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

from recognition import LABELS, settings  # noqa: E402

from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.recognition.model.export import export_model  # noqa: E402
from avalign.recognition.model.recognizer import Recognizer  # noqa: E402


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Recognizer(settings(fusion="gmu", labels=LABELS, statistics=True)).eval()
    path = tmp_path_factory.mktemp("onnx") / "tiny.onnx"
    return model, export_model(model, path)


def test_the_file_answers_as_torch_does(exported):
    _, found = exported
    assert found.parity.largest_difference < 1e-4
    assert found.parity.same_answers > 0.999
    assert found.size_bytes == found.path.stat().st_size


def test_any_batch_and_length_will_do(exported):
    model, found = exported
    session = onnxruntime.InferenceSession(str(found.path))
    rows = 12 * model.settings.stride
    feed = {}
    for name, stream in model.settings.streams.items():
        feed[name] = np.random.default_rng(0).normal(size=(3, rows, stream.columns))
        feed[name] = feed[name].astype(np.float32)
        feed[f"{name}_mask"] = np.ones((3, rows), bool)
    answers = dict(zip(("log_probs", "logits"), session.run(None, feed), strict=True))
    assert answers["logits"].shape == (3, len(LABELS))
    streams = {name: torch.from_numpy(feed[name]) for name in model.names}
    with torch.no_grad():
        expected = model(streams, {n: torch.ones(3, rows, dtype=torch.bool) for n in streams})
    np.testing.assert_allclose(answers["logits"], expected.answers.logits, atol=1e-4)
    np.testing.assert_allclose(answers["log_probs"], expected.answers.log_probs, atol=1e-4)


def test_the_settings_stand_beside_it(exported):
    model, found = exported
    told = json.loads(found.settings_path.read_text())
    assert told["inputs"] == [*model.names, *(f"{name}_mask" for name in model.names)]
    assert told["outputs"] == ["log_probs", "logits"]
    assert told["labels"] == list(LABELS)


def test_what_must_not_be_written_is_refused_before_work(exported, tmp_path):
    model, found = exported
    with pytest.raises(ParameterError, match="no name for an ONNX file"):
        export_model(model, tmp_path / "model.bin")
    with pytest.raises(MediaError, match="exists"):
        export_model(model, found.path)


@pytest.mark.slow
def test_weights_of_8_bits_are_a_quarter_and_answer_nearly_the_same(tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Recognizer(settings(fusion="gmu", labels=LABELS, width=64)).eval()
    large = export_model(model, tmp_path / "large.onnx")
    small = export_model(model, tmp_path / "small.onnx", int8=True)
    assert small.int8
    assert small.size_bytes < 0.5 * large.size_bytes
    assert 0 < small.parity.largest_difference < 0.05
