"""The few-label curve, in the tiny world: what is learnt from, and what the table says."""

import csv
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from recognition import STREAMS, utterance  # noqa: E402

from avalign.errors import ParameterError  # noqa: E402
from avalign.recognition.material.augmentation import CLEAN  # noqa: E402
from avalign.train.recognizer import emotion  # noqa: E402
from avalign.train.recognizer.plans import LoopPlan, RecognizerPlan  # noqa: E402
from benchmarks import few_labels  # noqa: E402
from benchmarks.__main__ import main  # noqa: E402

PLAN = RecognizerPlan(
    fusion="early",
    streams=STREAMS,
    width=8,
    augmentation=CLEAN,
    loop=LoopPlan(epochs=2, batch_size=4),
    device="cpu",
)


@pytest.fixture(autouse=True)
def tiny_clips(monkeypatch):
    """Clips are those of the tiny world; extraction has tests of its own."""
    torch.set_num_threads(1)

    def load(manifest, streams, **_):
        pairs = []
        for row in manifest:
            one = utterance(int(row.path.stem), speaker=row.speaker)
            pairs.append((row, replace(one, name=manifest.name_of(row))))
        return pairs, []

    monkeypatch.setattr(emotion, "load_utterances", load)


def manifest(folder, parts=("train", "dev", "test")):
    lines = ["path,split,speaker,label"]
    for number in range(8 * len(parts)):
        part = parts[number // 8]
        (folder / f"{number}.mp4").touch()
        lines.append(
            f"{number}.mp4,{part},{part}{number % 2},{('calm', 'sad')[number // 2 % 2]}"
        )
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


@pytest.mark.slow
def test_the_curve_is_measured_and_written(tmp_path, monkeypatch, capsys):
    learnt = []
    fit = few_labels.fit_emotion

    def spy(corpus, plan, *rest, **more):
        learnt.append(({one.name for one in corpus.train}, len(corpus.dev), plan.loop.epochs))
        return fit(corpus, plan, *rest, **more)

    monkeypatch.setattr(few_labels, "fit_emotion", spy)
    curve = few_labels.run_few_labels(
        manifest(tmp_path), out=tmp_path, shares=(0.25, 1.0), repeats=1, plan=PLAN
    )
    (few, all_) = learnt
    assert few[0] < all_[0]
    assert [(len(names), dev, epochs) for names, dev, epochs in learnt] == [
        (2, 2, 8),  # as many steps as with all labels
        (8, 8, 2),
    ]
    assert [(point.share, point.clips, point.chance) for point in curve] == [
        (0.25, 2, 0.5),
        (1.0, 8, 0.5),
    ]
    assert all(0 <= point.uar <= 1 for point in curve)
    with open(tmp_path / "few-labels.csv", encoding="utf-8") as file:
        assert [row["clips"] for row in csv.DictReader(file)] == ["2", "8"]
    assert "25%" in capsys.readouterr().out


def test_without_a_test_part_nothing_is_trained(tmp_path):
    with pytest.raises(ParameterError, match="no rows with split=test"):
        few_labels.run_few_labels(manifest(tmp_path, ("train", "dev")), out=tmp_path, plan=PLAN)


def test_shares_are_checked_by_the_command(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["few-labels", "--data", str(manifest(tmp_path)), "--shares", "1.5"])
    assert "--shares" in capsys.readouterr().err
