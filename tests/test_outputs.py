"""Every writer: what fails to replace a result leaves the old one byte for byte."""

import errno

import numpy as np
import pytest
from avalign_cli.main import main
from media import Recipe, make_clip

from avalign.data.manifest import Manifest, write_manifest
from avalign.data.rows import ManifestRow
from avalign.errors import MediaError
from avalign.files import atomic as files
from avalign.media import open_wav_writer, shift_audio
from avalign.media.writing.video_writer import open_video_writer
from avalign.streams.files import save_streams
from avalign.transcript import Transcript, Word
from avalign.transcript.files import write_srt
from avalign.types import ClipStreams, FeatureStream


def streams():
    times_s = np.arange(9) / 100

    def feature(kind, columns):
        values = np.zeros((9, columns), np.float32)
        return FeatureStream(values, times_s, np.ones(9, bool), kind)

    return ClipStreams(feature("mfcc", 39), feature("speech", 1), (), "talk.mp4", 0.1, 25.0)


def write_npz(path, overwrite):
    save_streams(streams(), path, overwrite=overwrite)


def write_subtitles(path, overwrite):
    write_srt(Transcript((Word("hello", 0.1, 0.4),)), path, overwrite=overwrite)


def write_table(path, overwrite):
    row = ManifestRow(path.with_name("a.mp4"))
    write_manifest(Manifest(path, (row,)), path, overwrite=overwrite)


def write_audio(path, overwrite):
    with open_wav_writer(
        path, sample_rate_hz=8000, layout="mono", overwrite=overwrite
    ) as write:
        write(np.zeros((1, 800), np.float32))


def write_video(path, overwrite):
    with open_video_writer(path, size=(32, 32), frame_rate=25, overwrite=overwrite) as writer:
        writer.write_frame(np.zeros((32, 32, 3), np.uint8), 0.0)


def write_shifted(path, overwrite):
    clip = path.with_name("in.mp4")
    if not clip.exists():
        make_clip(clip, Recipe())
    shift_audio(clip, path, audio_lag_s=0.1, overwrite=overwrite)


def write_frame(path, overwrite):
    pytest.importorskip("matplotlib")
    from avalign.plots.figures import new_figure, save_png

    save_png(new_figure(2, 2), path, overwrite)


def write_recogniser(path, overwrite):
    pytest.importorskip("torch")
    from recognition import settings

    from avalign.recognition.model.files import save_model
    from avalign.recognition.model.recognizer import Recognizer

    save_model(Recognizer(settings()), path.parent, overwrite=overwrite)


def write_limits(path, overwrite):
    pytest.importorskip("torch")
    from avalign.recognition.evaluation.limits import AnswerLimits, write_calibration

    (path.parent / "model.safetensors").write_bytes(b"weights")
    write_calibration(AnswerLimits(), path.parent)


def write_curves(path, overwrite):
    from avalign.train.recognizer.curves import write_curves

    write_curves(path, [{"epoch": 1.0}])


def write_estimator(path, overwrite):
    from spaces import fitted

    fitted("cca").save(path, overwrite=overwrite)


WRITERS = {
    "s.npz": write_npz,
    "s.srt": write_subtitles,
    "m.csv": write_table,
    "s.wav": write_audio,
    "overlay.mp4": write_video,
    "shifted.mp4": write_shifted,
    "plot.png": write_frame,
    "model.json": write_recogniser,
    "calibration.json": write_limits,
    "curves.csv": write_curves,
    "space": write_estimator,
}


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {each.name: each.read_bytes() for each in path.iterdir()}


@pytest.mark.parametrize("name", WRITERS)
def test_what_fails_to_replace_a_result_leaves_it(tmp_path, monkeypatch, name):
    path, write = tmp_path / name, WRITERS[name]
    write(path, False)
    before, there = contents(path), sorted(tmp_path.iterdir())

    def full(*places):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "_move", full)
    monkeypatch.setattr(files.os, "rename", full)
    with pytest.raises(MediaError, match="disk is full"):
        write(path, True)
    monkeypatch.undo()
    assert contents(path) == before
    assert sorted(tmp_path.iterdir()) == there


# ------------------------------------------------------------------ the command line


def test_a_manifest_is_not_split_into_itself(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "path,speaker\na.mp4,x\nb.mp4,y\nc.mp4,z\n"
    (tmp_path / "m.csv").write_text(text)
    (tmp_path / "link.csv").symlink_to("m.csv")
    for target in ("m.csv", "./m.csv", "link.csv"):
        assert main(["data", "split", "m.csv", "-o", target, "-y"]) == 2
        assert "is the input" in capsys.readouterr().err
    assert (tmp_path / "m.csv").read_text() == text
    (tmp_path / "dangling.csv").symlink_to("gone.csv")
    assert main(["data", "split", "m.csv", "-o", "dangling.csv"]) == 3
    assert "exists already" in capsys.readouterr().err
    assert main(["data", "split", "m.csv", "-o", "dangling.csv", "-y"]) == 0
    assert not (tmp_path / "gone.csv").exists()


def test_a_list_of_a_corpus_replaces_a_list_and_no_table_of_the_corpus(tmp_path, capsys):
    folder = tmp_path / "CREMA-D"
    (folder / "VideoFlash").mkdir(parents=True)
    (folder / "VideoFlash" / "1001_IEO_HAP_HI.flv").write_bytes(b"x")
    votes = folder / "summaryTable.csv"
    votes.write_text("FileName,MultiModalVote\n1001_IEO_HAP_HI,H\n")
    command = ["data", "list", str(folder), "--corpus", "crema-d", "-y", "-o"]
    assert main([*command, str(votes)]) == 2
    assert "is the input" in capsys.readouterr().err
    assert votes.read_text().startswith("FileName")
    for _ in range(2):
        assert main([*command, str(folder / "manifest.csv")]) == 0


def test_an_export_leaves_the_settings_of_its_model(tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    write_recogniser(tmp_path / "model.json", False)
    before = contents(tmp_path)
    command = ["export", "--model", str(tmp_path), "-y", "-o"]
    assert main([*command, str(tmp_path / "model.onnx")]) == 2
    assert "model.json: is the input" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("task", ["speech", "emotion"])
def test_a_training_that_fails_leaves_the_model_that_is_there(tmp_path, capsys, task):
    folder, table = tmp_path / "old", tmp_path / "m.csv"
    folder.mkdir()
    write_recogniser(folder / "model.json", False)
    before = contents(folder)
    rows = (f"{name}.mp4,{name},{split},bin blue,happy" for name, split in SPEAKERS.items())
    table.write_text("\n".join(["path,speaker,split,text,label", *rows]))
    for name in SPEAKERS:
        (tmp_path / f"{name}.mp4").write_bytes(b"no video")
    command = ["train", task, "-o", str(folder), "-y", "-q", "--cache", str(tmp_path / "c")]
    assert main([*command, "--data", str(tmp_path / "gone.csv")]) == 3
    assert main([*command, "--data", str(table)]) in (2, 3)
    assert "m.csv" in capsys.readouterr().err
    assert contents(folder) == before


SPEAKERS = {"a": "train", "b": "train", "c": "dev"}
