"""`evaluate` and `calibrate` on a tiny manifest, with models whose answers are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from avalign_cli.main import main

torch = pytest.importorskip("torch")

from recognition import ALPHABET, LABELS, settings, utterance  # noqa: E402

from avalign.data.manifest import read_manifest  # noqa: E402
from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.recognition.evaluation import calibrating as calibration  # noqa: E402
from avalign.recognition.evaluation import cases as cases_room  # noqa: E402
from avalign.recognition.evaluation import evaluating as evaluation  # noqa: E402
from avalign.recognition.evaluation.conditions import Condition  # noqa: E402
from avalign.recognition.evaluation.limits import read_calibration  # noqa: E402
from avalign.recognition.material.utterances import Skipped  # noqa: E402
from avalign.recognition.model.files import save_model  # noqa: E402
from avalign.recognition.model.recognizer import Recognizer  # noqa: E402

TEXTS = ("ab", "ca", "b", "cab")


@pytest.fixture(autouse=True)
def tiny_clips(monkeypatch):
    """Clips are those of the tiny world; extraction has tests of its own."""
    torch.manual_seed(0)
    torch.set_num_threads(1)

    def load(manifest, streams, **_):
        usable, skipped = [], []
        for row in manifest.rows:
            name = manifest.name_of(row)
            if "broken" in name:
                skipped.append(Skipped(name, "damaged"))
            else:
                number = int(row.path.stem.removeprefix("clip"))
                one = utterance(number, speaker=row.speaker, text=row.text or None)
                usable.append((row, replace(one, name=name)))
        return usable, skipped

    monkeypatch.setattr(cases_room, "load_utterances", load)


def manifest(folder, *more, labels=LABELS):
    rows = [
        f"clip{n}.mp4,dev,s{n % 2},{text},{labels[n % len(labels)]}"
        for n, text in enumerate(TEXTS)
    ]
    path = folder / "manifest.csv"
    path.write_text("\n".join(["path,split,speaker,text,label", *rows, *more]) + "\n")
    return path


def saying(text):
    """A model that reads one text in every clip, whatever it sees and hears."""
    model = Recognizer(settings(vocabulary=tuple(sorted({*TEXTS})))).eval()
    tokens = [0, *(part for token in ALPHABET.encode(text) for part in (int(token), 0))]

    def spell(streams, masks=None, present=None):
        told = Recognizer.forward(model, streams, masks, present)
        fixed = torch.full_like(told.answers.log_probs, -20.0)
        for row in range(fixed.shape[1]):
            fixed[:, row, tokens[min(row, len(tokens) - 1)]] = 0.0
        return replace(told, answers=replace(told.answers, log_probs=fixed.log_softmax(-1)))

    model.forward = spell
    return model


@pytest.fixture
def folder(tmp_path):
    kept = tmp_path / "model"
    save_model(saying("ab"), kept)
    return kept


def test_known_answers_have_known_errors(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(evaluation, "load_model", lambda *_, **__: saying("ab"))
    found = evaluation.evaluate(folder, manifest(tmp_path, "broken.mp4,dev,s0,ab,calm"))
    (condition,) = found.conditions
    assert condition.name == "audio+lips"
    assert condition.metrics["wer_greedy"].value == pytest.approx(3 / 4)
    # Of 8 characters: none wrong in ab; ca is 2 off, b and cab 1 each.
    assert condition.metrics["cer_greedy"].value == pytest.approx(4 / 8)
    assert [clip.answers["greedy"] for clip in condition.clips] == ["ab"] * 4
    assert [one.reason for one in found.skipped] == ["damaged"]
    assert json.loads(json.dumps(found.as_dict()))["split"] == "dev"


def feeling(labels=LABELS):
    """A model that finds every clip happy, with a valence of a half."""
    model = Recognizer(settings(characters="", labels=labels, values=("valence",))).eval()
    with torch.no_grad():
        for layer in (model.heads.classes, model.heads.regression):
            if layer is not None:
                layer.weight.zero_()
                layer.bias.fill_(0.5)
        if labels:
            model.heads.classes.bias[labels.index("happy")] = 3.0
    return model


def with_valence(folder, *, labels=LABELS):
    path = manifest(folder, labels=labels)
    lines = path.read_text().splitlines()
    valences = ("valence", "0.0", "1.0", "", "0.5")
    path.write_text("".join(f"{line},{v}\n" for line, v in zip(lines, valences, strict=True)))
    return path


def test_classes_and_values_are_scored_side_by_side(tmp_path):
    save_model(feeling(), tmp_path / "model")
    (condition,) = evaluation.evaluate(
        tmp_path / "model", with_valence(tmp_path), streams=("lips",)
    ).conditions
    # Of calm, happy, sad, calm only one is happy, and all are said to be.
    assert condition.details["confusion"] == [[0, 2, 0], [0, 1, 0], [0, 1, 0]]
    assert condition.details["recall"] == {"calm": 0.0, "happy": 1.0, "sad": 0.0}
    expected = {"uar": 1 / 3, "accuracy": 1 / 4, "precision": 1 / 12, "f1": 0.4 / 3}
    expected |= {"auc": 0.5, "mae_valence": 1 / 3, "rmse_valence": np.sqrt(0.5 / 3)}
    found = {name: metric.value for name, metric in condition.metrics.items()}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert [clip.answers["class"] for clip in condition.clips] == ["happy"] * 4
    assert condition.clips[0].numbers["true_valence"] == 0.0
    assert condition.clips[0].numbers["valence"] == pytest.approx(0.5)
    assert "valence" not in condition.clips[2].numbers


def test_values_alone_have_their_clips(tmp_path):
    save_model(feeling(labels=()), tmp_path / "model")
    table = with_valence(tmp_path, labels=("",))
    (condition,) = evaluation.evaluate(tmp_path / "model", table).conditions
    assert condition.as_dict()["clips"] == 3
    assert [clip.numbers["true_valence"] for clip in condition.clips] == [0.0, 1.0, 0.5]
    assert condition.metrics["mae_valence"].value == pytest.approx(1 / 3)


def test_a_value_that_is_no_number_is_refused(tmp_path):
    save_model(feeling(), tmp_path / "model")
    table = with_valence(tmp_path)
    table.write_text(table.read_text().replace(",1.0", ",high"))
    with pytest.raises(ParameterError, match=r"clip1\.mp4 has 'high' as valence"):
        evaluation.evaluate(tmp_path / "model", table)


def test_noise_is_a_condition_of_its_own_and_the_same_again(tmp_path, folder):
    table = manifest(tmp_path)
    asked = {"noise": "white", "snr_db": (None, 0.0), "streams": ("audio",), "seed": 4}
    clean, noisy = evaluation.evaluate(folder, table, **asked).conditions
    assert (clean.name, noisy.name) == ("audio", "audio, white 0 dB")
    assert evaluation.evaluate(folder, table, **asked).conditions == (clean, noisy)


def test_calibration_is_kept_for_every_set_of_streams(tmp_path, folder):
    found = evaluation.evaluate(folder, manifest(tmp_path), calibrated=True)
    kept = read_calibration(folder)
    assert found.as_dict()["calibration"] == kept.as_dict()
    assert kept.limits.keys() == {"audio", "lips", "audio+lips"}
    assert kept.facts["clips"] == len(TEXTS)


def test_a_calibration_is_replaced_when_asked_and_never_of_training_clips(tmp_path, folder):
    table = manifest(tmp_path, "clip7.mp4,train,s7,ab,calm")
    with pytest.raises(ParameterError, match="learnt from"):
        evaluation.evaluate(folder, table, split="train", calibrated=True)
    evaluation.evaluate(folder, table, calibrated=True)
    with pytest.raises(MediaError, match="holds a calibration of these weights"):
        evaluation.evaluate(folder, table, calibrated=True)
    evaluation.evaluate(folder, table, calibrated=True, overwrite=True)


def test_the_command_says_what_calibration_found(tmp_path, folder, capsys):
    asked = ["--model", str(folder), "--data", str(manifest(tmp_path)), "--calibrate"]
    assert main(["evaluate", *asked]) == 0
    limit = read_calibration(folder).limits["lips"]
    believed, refused = (
        f"{100 * fraction:.0f}" for fraction in (limit.believed, limit.refused)
    )
    assert (
        f"calibrated, lips: {believed} % of these clips are believed, "
        f"{refused} % of the same without words refused\n"
    ) in capsys.readouterr().out


def test_classes_get_the_certainty_that_nearly_all_clips_reach(tmp_path):
    model = Recognizer(settings(characters="", labels=LABELS)).eval()
    part = read_manifest(manifest(tmp_path))
    cases, _ = cases_room.load_cases(model, part)
    told = cases_room.predict_cases(model, cases, Condition("lips", ("lips",)))
    best = sorted(one.probabilities.max() for one in told)
    certainty = calibration.calibrate(model, cases).certainty
    assert certainty.keys() == {"audio", "lips", "audio+lips"}
    assert certainty["lips"] == pytest.approx(np.quantile(best, 0.02))


def test_nothing_cannot_be_calibrated_on():
    with pytest.raises(ParameterError, match="no clips to calibrate on"):
        calibration.calibrate(saying("ab"), [])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"split": "test"}, "no rows with split=test .*"),
        ({"streams": ("nose",)}, "no stream 'nose'"),
        ({"noise": None, "snr_db": (0.0,)}, "0 dB of no noise"),
        ({"noise": "white", "snr_db": (float("nan"),)}, "an SNR of nan dB"),
        ({"noise": "babble", "snr_db": (0.0,)}, "babble is made of training clips"),
        ({"noise": "wihte", "snr_db": (0.0,)}, "no noise 'wihte'"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path, folder, asked, message):
    with pytest.raises(ParameterError, match=message):
        evaluation.evaluate(folder, manifest(tmp_path), **asked)


def test_an_unknown_label_is_refused(tmp_path):
    model = Recognizer(settings(characters="", labels=("calm",))).eval()
    part = read_manifest(manifest(tmp_path))
    with pytest.raises(ParameterError, match="unknown label 'happy'"):
        cases_room.load_cases(model, part)
