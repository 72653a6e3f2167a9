"""Recognising a file, as the command does: sound alone, with an untrained model."""

import json
import wave

import numpy as np
import pytest
import torch
from avalign_cli.main import main
from recognition import LABELS, settings

from avalign.errors import NoFaceError, ParameterError
from avalign.plots import recognition as recognition_plot
from avalign.plots.figures import new_figure
from avalign.plots.recognition import draw_emotion
from avalign.recognition import Recognizer, save_model
from avalign.recognition.evaluation.limits import AnswerLimits, Limit
from avalign.recognition.recognizing import recognize
from avalign.recognition.report import Emotion, RecognitionReport
from avalign.transcript import Transcript, Word


@pytest.fixture(autouse=True)
def one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture
def sound(tmp_path):
    path = tmp_path / "tone.wav"
    tone = 8000 * np.sin(2 * np.pi * 400 * np.arange(24_000) / 16_000)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(tone.astype("<i2").tobytes())
    return path


def model(**changes):
    return Recognizer(settings(vocabulary=("abc", "cab"), **changes)).eval()


def test_the_words_of_a_transcript_get_times_within_the_sound(sound):
    report = recognize(sound, model(), transcript=Transcript((Word("Ab"), Word("c!"))))
    assert [word.text for word in report.transcript.words] == ["Ab", "c!"]
    times_s = [t for word in report.transcript.words for t in (word.start_s, word.end_s)]
    assert times_s == sorted(times_s)
    assert 0.0 <= times_s[0] < times_s[-1] <= 1.52
    assert report.streams == ("audio",)
    assert report.as_dict()["modality_contribution"].keys() == {"audio"}


def test_a_transcript_of_other_words_is_noted(sound):
    report = recognize(sound, model(), transcript=Transcript((Word("cab"),) * 5))
    assert report.misfit > 0.4
    assert any("the transcript differs from what is read" in note for note in report.notes)


def test_speech_beyond_the_limit_is_outside_the_vocabulary(sound):
    never = AnswerLimits({"audio": Limit(-1.0, 0.0, 1.0)})
    report = recognize(sound, model(), calibration=never)
    assert (report.status, report.exit_code) == ("no_answer", 4)
    assert "outside my vocabulary: the model knows 2 words" in report.reason
    assert report.as_dict()["text"] is None


def test_emotion_is_told_over_time_and_probabilities_add_up(sound):
    report = recognize(sound, model(characters="", labels=LABELS))
    probabilities = report.emotion.probabilities
    assert sum(probabilities.values()) == pytest.approx(1.0)
    assert report.emotion.label == max(probabilities, key=probabilities.get)
    assert report.emotion.over_time.shape == (len(report.emotion.times_s), 3)
    gained = sum(report.modality_contribution.values())
    assert gained == pytest.approx(max(probabilities.values()) - 1 / 3, abs=1e-6)


def test_what_is_not_certain_enough_has_no_label(sound):
    strict = AnswerLimits(certainty={"audio": 1.0})
    report = recognize(sound, model(characters="", labels=LABELS), calibration=strict)
    assert report.emotion.label is None
    assert report.exit_code == 4


def test_who_never_measured_when_to_believe_the_model_is_told(sound):
    never = recognize(sound, model(labels=LABELS))
    assert [note for note in never.notes if "never measured for audio" in note] == [
        "when to believe the model was never measured for audio: "
        "avalign evaluate --calibrate does"
    ]
    known = AnswerLimits(certainty={"audio": 0.1})
    measured = recognize(sound, model(characters="", labels=LABELS), calibration=known)
    assert not any("never measured" in note for note in measured.notes)


@pytest.mark.parametrize("heads", [{"labels": LABELS}, {"values": ("valence", "arousal")}])
def test_the_command_tells_and_draws_emotion_and_numbers(sound, tmp_path, capsys, heads):
    save_model(model(characters="", statistics=True, **heads), tmp_path / "model")
    picture = tmp_path / "emotion.png"
    arguments = ["recognize", str(sound), "--model", str(tmp_path / "model")]
    assert main([*arguments, "--plot", str(picture)]) == 0
    told = capsys.readouterr().out
    for name in (*heads.get("labels", ()), *heads.get("values", ())):
        assert f"  {name}" in told
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", [2, 4, 8])
def test_the_names_of_the_classes_lie_above_the_lines(number):
    names = [f"class {place}" for place in range(number)]
    emotion = Emotion(
        names[0],
        dict.fromkeys(names, 1.0 / number),
        np.array([1.0, 2.0]),
        np.ones((2, number)),
    )
    figure = new_figure(9.0, 5.2)
    axes = figure.add_axes((0.05, 0.46, 0.9, 0.33))
    draw_emotion(axes, emotion, (0.0, 3.0))
    figure.canvas.draw()
    highest = axes.transData.transform((0.0, 1.0))[1]
    assert axes.get_legend().get_window_extent().y0 >= highest


def test_a_long_reason_stays_in_the_picture(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(recognition_plot, "save_png", lambda figure, *_: drawn.append(figure))
    report = RecognitionReport("talk.mp4", "speech", "no_answer", "a reason that is long " * 20)
    recognition_plot.plot_recognition(report, tmp_path / "talk.png")
    figure = drawn[0]
    figure.canvas.draw()
    width = figure.bbox.width
    assert all(text.get_window_extent().x1 <= width for text in figure.texts)
    contributions = figure.axes[2]
    assert contributions.texts[0].get_text() == "no answer"
    assert not contributions.get_xticks().size


def test_what_cannot_be_read_is_refused(sound):
    with pytest.raises(NoFaceError, match="no picture"):
        recognize(sound, model(), streams=("lips",))
    with pytest.raises(ParameterError, match="no stream 'nose'"):
        recognize(sound, model(), streams=("nose",))
    with pytest.raises(ParameterError, match="'z'"):
        recognize(sound, model(), transcript=Transcript((Word("zoo"),)))


def test_the_command_prints_one_object_and_writes_subtitles(sound, tmp_path, capsys):
    save_model(model(), tmp_path / "model")
    (tmp_path / "words.txt").write_text("ab c")
    arguments = ["recognize", str(sound), "--model", str(tmp_path / "model"), "--json"]
    srt = tmp_path / "words.srt"
    more = ["--transcript", str(tmp_path / "words.txt"), "--srt", str(srt)]
    assert main([*arguments, *more, "--plot", str(tmp_path / "words.png")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["status"], told["text"]) == (1, "ok", "ab c")
    assert "\nab\n" in srt.read_text()
    assert (tmp_path / "words.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["recognize", "none.wav", "--model", "none"], 3),
        (["evaluate", "--model", "none", "--data", "none.csv"], 3),
        (["evaluate", "--model", "m", "--data", "d.csv", "--snr", "0"], 2),
        (["evaluate", "--model", "m", "--data", "d", "--noise", "white", "--snr", "loud"], 2),
        (["export", "--model", "none", "--output", "x.onnx"], 3),
    ],
)
def test_bad_input_is_one_line(arguments, code, capsys):
    assert main(arguments) == code
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("avalign: ")
    assert len(said) <= 2
