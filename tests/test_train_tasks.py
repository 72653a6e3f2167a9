"""`train_speech` and `train_emotion`: from a manifest to a folder, and what is refused."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avalign_cli.main import main  # noqa: E402
from recognition import LABELS, STREAMS, utterance  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.recognition.ctc.alphabet import Alphabet  # noqa: E402
from avalign.recognition.evaluation.limits import read_calibration  # noqa: E402
from avalign.recognition.material.utterances import Skipped  # noqa: E402
from avalign.recognition.model.files import load_model  # noqa: E402
from avalign.train.recognizer import emotion, folds, speech  # noqa: E402
from avalign.train.recognizer.plans import LoopPlan, RecognizerPlan, emotion_plan  # noqa: E402

PLAN = RecognizerPlan(
    fusion="early",
    streams=STREAMS,
    width=8,
    voices=2,
    loop=LoopPlan(epochs=1, batch_size=4),
    device="cpu",
)


@pytest.fixture(autouse=True)
def tiny_clips(monkeypatch):
    """Clips are those of the tiny world; extraction has tests of its own."""
    torch.set_num_threads(1)

    def load(manifest, streams, **_):
        usable, skipped = [], []
        for row in manifest.rows:
            name = manifest.name_of(row)
            if "broken" in name:
                skipped.append(Skipped(name, "damaged"))
                continue
            number = int(row.path.stem.removeprefix("clip"))
            text = row.text if row.text in ("a", "b", "c") else None
            one = utterance(number, speaker=row.speaker, text=3 * text if text else None)
            usable.append((row, replace(one, name=name, text="", tokens=np.zeros(0, np.int64))))
        return usable, skipped

    monkeypatch.setattr(speech, "load_utterances", load)
    monkeypatch.setattr(emotion, "load_utterances", load)


def manifest(folder, rows, columns="path,split,speaker,text,label"):
    path = folder / "manifest.csv"
    path.write_text("\n".join([columns, *rows]) + "\n")
    return path


def rows(changes=None):
    """Eight rows by four speakers for training, three by two others for dev."""
    texts, labels = ("ab ba", "c", "bc a"), ("calm", "happy")
    table = [
        [f"clip{n}.mp4", "train", f"t{n % 4}", texts[n % 3], labels[n % 2]] for n in range(8)
    ]
    table += [
        [f"clip{n}.mp4", "dev", f"d{n % 2}", texts[n % 3], labels[n % 2]] for n in range(8, 11)
    ]
    for (row, column), value in (changes or {}).items():
        table[row][column] = value
    return [",".join(row) for row in table]


def test_speech_is_trained_from_a_manifest(tmp_path):
    table = manifest(tmp_path, [*rows(), "broken.mp4,train,t0,a,calm", "x.mp4,,z,,"])
    result = speech.train_speech(table, tmp_path / "out", plan=PLAN, alphabet=Alphabet(" abc"))
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["data"]["train"] == 8
    assert facts["skipped"] == [{"name": "broken.mp4", "reason": "damaged"}]
    kept = load_model(tmp_path / "out")
    assert kept.settings.vocabulary == ("a", "ab", "ba", "bc", "c")
    assert kept.settings.characters == " abc"
    for name in ("wer_all", "wer_all_0dB", "wer_audio", "wer_lips"):
        assert result.curves[0][f"dev_{name}"] >= 0
    assert read_calibration(tmp_path / "out").limits.keys() == {"audio", "lips", "audio+lips"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({(0, 3): "caf\u00e9 3"}, r"clip0.mp4: the character '3' .* is not in the alphabet"),
        ({(8, 3): "d"}, r"clip8.mp4: the character 'd'"),
        ({(8, 2): "t1"}, "the speaker 't1' is in dev and train"),
        ({(n, 3): "" for n in range(8)}, "none of the 8 rows .* has words"),
        ({(n, 1): "train" for n in range(8, 11)}, "no rows with split=dev among its 11"),
    ],
)
def test_manifests_that_teach_no_speech_are_refused(tmp_path, changes, message):
    table = manifest(tmp_path, rows(changes))
    with pytest.raises(ParameterError, match=message) as caught:
        speech.train_speech(table, tmp_path / "out", plan=PLAN, alphabet=Alphabet(" abcef"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_an_empty_manifest_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="no rows with split=train among its 0"):
        speech.train_speech(manifest(tmp_path, []), tmp_path / "out", plan=PLAN)


def test_a_split_by_sentence_must_be_declared(tmp_path):
    table = manifest(tmp_path, rows({(n, 2): "one" for n in range(11)}))
    with pytest.raises(ParameterError, match="'one' is in dev and train"):
        speech.train_speech(table, tmp_path / "out", plan=PLAN, alphabet=Alphabet(" abc"))
    speech.train_speech(
        table, tmp_path / "out", plan=PLAN, alphabet=Alphabet(" abc"), by_sentence=True
    )
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert facts["data"]["by_sentence"] is True


def test_times_of_words_become_rows_of_words(tmp_path):
    """GRID transcripts have times, so words are learnt by row, too."""
    (tmp_path / "t.align").write_text("0 2500 sil\n2500 5000 ab\n5000 7500 c\n")
    table = rows()
    lines = [line.replace(",ab ba,", ",,").replace(",c,", ",,") for line in table]
    lines = [",".join([*line.split(","), "t.align"]) for line in lines]
    path = manifest(tmp_path, lines, "path,split,speaker,text,label,transcript")
    result = speech.train_speech(path, tmp_path / "o", plan=PLAN, alphabet=Alphabet(" abc"))
    assert result.model.settings.word_rows
    assert result.curves[0]["train_words"] > 0


def test_emotion_is_trained_from_a_manifest(tmp_path):
    table = manifest(tmp_path, rows())
    result = emotion.train_emotion(table, tmp_path / "out", plan=PLAN)
    assert load_model(tmp_path / "out").settings.labels == ("calm", "happy")
    assert 0 <= result.curves[0]["dev_uar_lips"] <= 1


def test_continuous_labels_are_regressed(tmp_path):
    lines = [f"{line},{number / 10}" for number, line in enumerate(rows())]
    table = manifest(tmp_path, lines, "path,split,speaker,text,label,valence")
    result = emotion.train_emotion(table, tmp_path / "out", plan=PLAN, values=["valence"])
    assert result.model.settings.values == ("valence",)
    assert result.curves[0]["dev_rmse_valence_all"] > 0
    with pytest.raises(ParameterError, match=r"no row of .* has a number in the column 'joy'"):
        emotion.train_emotion(table, tmp_path / "new", plan=PLAN, values=["valence", "joy"])
    lines[2] = lines[2].replace(",0.2", ",much")
    table = manifest(tmp_path, lines, "path,split,speaker,text,label,valence")
    with pytest.raises(ParameterError, match=r"clip2.mp4 has 'much' as valence"):
        emotion.train_emotion(table, tmp_path / "new", plan=PLAN, values=["valence"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({(9, 4): "furious"}, "clip9.mp4 has the unknown label 'furious'"),
        ({(8, 2): "t1"}, "the speaker 't1' is in dev and train"),
        ({(n, 4): "" for n in range(11)}, "has a label"),
        ({(n, 4): "calm" for n in range(11)}, "only the label 'calm'"),
    ],
)
def test_manifests_that_teach_no_emotion_are_refused(tmp_path, changes, message):
    with pytest.raises(ParameterError, match=message):
        emotion.train_emotion(manifest(tmp_path, rows(changes)), tmp_path / "out", plan=PLAN)


def test_actors_are_left_out_in_turn(tmp_path):
    table = [f"clip{n}.mp4,,actor{n % 6},{'ac'[n % 2]},{'ch'[n % 2]}" for n in range(12)]
    validated = folds.cross_validate_emotion(
        manifest(tmp_path, table), tmp_path / "out", folds=3, plan=PLAN
    )
    facts = json.loads((tmp_path / "out" / "folds.json").read_text())
    assert [fold["n_items"] for fold in facts["folds"]] == [4, 4, 4]
    assert facts["pooled"]["n_items"] == validated.pooled.n_items == 12
    assert np.sum(facts["pooled"]["confusion"]) == 12
    for name in ("fold1", "fold2", "fold3"):
        told = json.loads((tmp_path / "out" / name / "run.json").read_text())
        assert (told["data"]["train"], told["data"]["dev"]) == (4, 4)
        assert told["data"]["test"] == name
    with pytest.raises(ParameterError, match="2 folds"):
        folds.cross_validate_emotion(tmp_path / "manifest.csv", tmp_path / "o", folds=2)


def test_permuted_labels_are_the_same_labels_elsewhere():
    items = [utterance(number, label=number % 3) for number in range(30)]
    dealt = emotion.permute_classes(items, seed=0)
    assert sorted(one.label for one in dealt) == sorted(one.label for one in items)
    assert [one.label for one in dealt] != [one.label for one in items]
    assert all(one.audio is other.audio for one, other in zip(dealt, items, strict=True))


@pytest.mark.parametrize("is_control", [False, True])
def test_a_control_neither_learns_nor_chooses_by_true_labels(tmp_path, monkeypatch, is_control):
    seen = {}

    def fit(corpus, plan, classes, *_):
        seen.update(train=corpus.train, dev=corpus.dev, facts=corpus.facts)

    monkeypatch.setattr(emotion, "fit_emotion", fit)
    table = [
        f"clip{n}.mp4,{'dev' if n % 2 else 'train'},s{n % 2},{'acb'[n % 3]},{LABELS[n % 3]}"
        for n in range(24)
    ]
    emotion.train_emotion(
        manifest(tmp_path, table), tmp_path / "out", plan=PLAN, permute_labels=is_control
    )
    classes = sorted(LABELS)
    for part, first in (("train", 0), ("dev", 1)):
        true = [classes.index(LABELS[n % 3]) for n in range(first, 24, 2)]
        labels = [one.label for one in seen[part]]
        assert sorted(labels) == sorted(true)
        assert (labels != true) is is_control
    assert seen["facts"] == {"labels_permuted": is_control}


# The command line


def test_the_command_trains_and_says_how_well(tmp_path, monkeypatch, capsys):
    seen = {}

    def fit(data, output, **options):
        seen.update(options, data=data)
        options["callbacks"].report({"epoch": 1.0, "train_loss": 1.5, "seconds": 2.0})
        return type("Result", (), {"curves": [{"dev_wer_all": 0.25}], "best_epoch": 0})

    monkeypatch.setattr("avalign.train.recognizer.train_speech", fit)
    arguments = ["--data", "m.csv", "-o", "out", "--fusion", "early", "--streams", "lips"]
    arguments += ["--epochs", "3", "--seed", "5", "--precision", "bfloat16", "--by-sentence"]
    assert main(["train", "speech", *arguments]) == 0
    told = capsys.readouterr()
    assert told.out == "Wrote out: word error rate 25.0 % on dev, epoch 1.\n"
    assert told.err == "Epoch 1: loss 1.500, 2 s\n"
    plan = seen["plan"]
    assert (plan.fusion, [*plan.streams], seen["by_sentence"]) == ("early", ["lips"], True)
    assert (plan.loop.epochs, plan.loop.seed, plan.loop.precision) == (3, 5, "bfloat16")
    assert plan.loop.batch_size == LoopPlan().batch_size


@pytest.mark.parametrize(("noise", "fraction"), [([], 0.0), (["--noise", "rain.wav"], 0.5)])
def test_emotion_is_trained_by_a_plan_of_its_own(monkeypatch, noise, fraction):
    """Levels tell of emotion, and noise is mixed in only where it was recorded."""
    seen = {}

    def fit(data, output, **options):
        seen.update(options)
        return type("Result", (), {"curves": [{"dev_score": 0.25}], "best_epoch": 0})

    monkeypatch.setattr("avalign.train.recognizer.train_emotion", fit)
    arguments = ["--data", "m.csv", "-o", "out", "--streams", "audio,lips,text", *noise]
    assert main(["train", "emotion", *arguments, "--epochs", "3"]) == 0
    plan = seen["plan"]
    assert {name: stream.centre for name, stream in plan.streams.items()} == {
        "audio": False,
        "lips": False,
        "text": False,
    }
    assert plan.augmentation.noise_share == fraction
    assert (plan.loop.epochs, plan.loop.batch_size) == (3, emotion_plan().loop.batch_size)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["speech", "--streams", "smell"], 2, "'smell' is no stream"),
        (["speech", "--streams", "audio,text"], 2, "the words that are to be recognised"),
        (["speech", "--precision", "int4"], 2, "precision is 'int4'"),
        (
            ["speech", "--data", "gone.csv", "--fusion", "nuclear"],
            2,
            "no fusion family 'nuclear'",
        ),
        (["speech", "--data", "gone.csv", "--device", "abacus"], 2, "'abacus' is no device"),
        (["emotion", "--folds", "3", "--value", "v"], 2, "folds are for labels"),
        (["emotion", "--data", "gone.csv"], 3, "gone.csv"),
    ],
)
def test_wrong_options_are_told_in_one_line(tmp_path, capsys, arguments, code, message):
    table = manifest(tmp_path, rows())
    task, *options = arguments
    given = ["train", task, "--data", str(table), "-o", str(tmp_path / "out"), *options]
    assert main(given) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("task", ["speech", "emotion"])
def test_without_torch_the_command_exits_5(task):
    program = (
        "import sys; sys.modules['torch'] = None; from avalign_cli.main import main; "
        f"sys.exit(main(['train', '{task}', '--data', 'm.csv', '-o', 'out']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert "training needs torch" in ended.stderr


CLIPS = os.environ.get("AVALIGN_CLIPS")


@pytest.mark.slow
@pytest.mark.skipif(not CLIPS, reason="AVALIGN_CLIPS does not name the folder of real clips")
def test_real_sentences_are_learnt_from(tmp_path, monkeypatch):
    """GRID, from its files to a model: every clip is usable, and the loss falls."""
    monkeypatch.undo()  # extraction is wanted here
    with (Path(CLIPS) / "manifest.csv").open() as file:
        table = [row for row in csv.DictReader(file) if row["path"].startswith("grid_s1/")]
    lines = []
    for split, count in (("train", 4), ("dev", 2)):
        for row in [row for row in table if row["split"] == split][:count]:
            files = [f"{CLIPS}/{row[name]}" for name in ("path", "transcript")]
            lines.append(",".join([files[0], split, "s1", files[1]]))
    path = manifest(tmp_path, lines, "path,split,speaker,transcript")
    arguments = ["--data", path, "-o", tmp_path / "out", "--cache", tmp_path / "kept"]
    arguments += ["--fusion", "early", "--epochs", "2", "--by-sentence", "--device", "cpu"]
    assert main(["train", "speech", *map(str, arguments)]) == 0
    facts = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (facts["skipped"], facts["data"]["train"]) == ([], 4)
    first, second = (row["train_loss"] for row in facts["curves"])
    assert second < first
    assert {"bin", "blue"} < set(facts["settings"]["vocabulary"])
