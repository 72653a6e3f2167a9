"""The doors through which users hand files to avalign, one function per kind of file.

Each reads `path`, and whatever comes of it: an answer, or an error of avalign. What it
writes it names, for all else that is in the folder afterwards has been left there.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import avalign
from avalign.errors import AvalignError, NoAnswerError
from avalign.reports import SyncReport

__all__ = ["TARGETS", "complaint"]


def video(path: Path, random: Random) -> list[Path]:
    """Measure; now and then repair, extract, or only look."""
    door = random.random()
    output = path.with_name(f"out{path.suffix}")
    if door < 0.75:
        _tell(avalign.check(path, jobs=1))
        return []
    if door < 0.85:
        _tell(avalign.sync(path, output, force=True, jobs=1))
    elif door < 0.92:
        from avalign.media import shift_audio

        shift_audio(path, output, audio_lag_s=0.1)
    else:
        output = path.with_name("out.npz")
        avalign.save_streams(avalign.extract(path, jobs=1), output)
        avalign.load_streams(output)
    return [output]


def _tell(report: SyncReport) -> None:
    """Write a report out, as for people and as JSON."""
    from avalign_cli import text

    avalign.to_json(report)
    text.line(report)
    if report.status == "no_answer":
        raise NoAnswerError(report.reason or "")


def sound(path: Path, random: Random) -> list[Path]:
    """Read a sound alone, against another recording, or beside a video."""
    door = random.random()
    clip = path.with_name("talk.mp4")
    output = path.with_name(f"out{path.suffix}")
    if door < 0.6:
        avalign.read_audio(path)
        avalign.probe(path)
    elif door < 0.75:
        _tell(avalign.check(clip, audio=path, jobs=1))
    elif door < 0.9:
        avalign.compare(clip, path)
    else:
        avalign.align_files(clip, path, output)
        return [output]
    return []


def streams(path: Path, random: Random) -> list[Path]:
    """Measure on streams that were extracted before."""
    _tell(avalign.check(path, max_lag_s=random.choice((1.0, 1.0, 15.0))))
    return []


def transcript(path: Path, random: Random) -> list[Path]:
    from avalign.transcript import read_transcript, write_srt

    words = read_transcript(path)
    output = path.with_name("out.srt")
    if words.words and all(word.start_s is not None for word in words.words):
        write_srt(words, output)
        read_transcript(output)
    return [output]


def manifest(path: Path, random: Random) -> list[Path]:
    from avalign.data.audit import audit_manifest
    from avalign.data.manifest import read_manifest, write_manifest

    table = read_manifest(path)
    audit_manifest(table, jobs=1)
    output = path.with_name("out.csv")
    write_manifest(table, output)
    return [output]


def space(path: Path, random: Random) -> list[Path]:
    from avalign.align.confidence import load_calibration
    from avalign.space import load_model

    calibration = load_calibration(path.with_name("calibration.json"))
    model = load_model(path.with_name("space.safetensors"))
    clip = avalign.load_streams(path.with_name("one.npz"))
    avalign.align_streams(clip, model=model, calibration=calibration)
    return []


def estimator(path: Path, random: Random) -> list[Path]:
    import numpy as np

    from avalign.space import load_space

    found = load_space(path.parent)
    rows = np.random.default_rng(0).normal(size=(50, 3))
    found.transform(audio=rows, lips=rows[:, :2])
    return []


def recognizer(path: Path, random: Random) -> list[Path]:
    from avalign.recognition.recognizing import recognize

    report = recognize(path.with_name("talk.mp4"), path.parent, jobs=1, device="cpu")
    json.dumps(report.as_dict(), allow_nan=False)
    return []


TARGETS = {
    each.__name__: each
    for each in (video, sound, streams, transcript, manifest, space, estimator, recognizer)
}


def complaint(error: AvalignError, path: Path) -> str | None:
    """Say what is wrong with an error: it is one line, and names the file once."""
    text = str(error)
    if not error.message.strip() or "\n" in text:
        return f"not one line: {text[:200]!r}"
    if text.count(f"{path}: ") > 1:
        return f"names the file twice: {text[:300]!r}"
    if len(text) > 1000:
        return f"{len(text)} characters long: {text[:200]!r}"
    if error.exit_code not in (2, 3, 4):
        return f"exit code {error.exit_code}: {text[:200]!r}"
    return None
