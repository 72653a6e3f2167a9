"""A report as one line for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from avalign.reports import SyncReport, best_guess, to_json, versions
from avalign.types import ACCEPTABLE, Alignment, Tolerance

if TYPE_CHECKING:
    from avalign_cli.ui import Screen

__all__ = ["details", "line", "show", "summary"]

KINDS = {
    "in_sync": "in sync",
    "noticeable": "noticeable",
    "unacceptable": "unacceptable",
    "ok": "unsure",
    "no_answer": "no answer",
    "error": "failed",
}

# How far from its middle, in half widths, the estimate may be in an interval told as ±.
LOPSIDED = 0.25

STYLES = {"in_sync": "green", "noticeable": "yellow", "unacceptable": "red", None: "magenta"}


def show(screen: Screen, report: SyncReport) -> None:
    """Print what was found and done: a JSON object, or a line and what it rests on.

    Parameters
    ----------
    screen : Screen
        Where to.
    report : SyncReport
        The answer about one file.
    """
    screen.data(to_json(report))
    if screen.json:  # the line for people, which has them, is not printed
        for note in report.notes:
            screen.note(f"{report.file}: {note}")
    screen.result(line(report), STYLES[report.verdict])
    for detail in details(report):
        screen.detail(detail)


def line(report: SyncReport) -> str:
    """Say in one line what was found and done.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.

    Returns
    -------
    str
        Sentences after the name of the file.
    """
    if report.status == "error":
        return f"{report.file}: {report.reason}"
    sentences = [_finding(report)]
    if report.status == "ok" and report.reason is not None:
        if report.verdict is None:
            sentences.append(_sentence(report.reason[:1].upper() + report.reason[1:]))
        else:
            forced = "No repair" if report.exit_code else "Forced, although"
            sentences.append(f"{forced}: {_sentence(report.reason)}")
    if report.output is not None:
        sentences.append(f"Wrote {report.output}, {_residual(report.residual_ms)}.")
    elif report.planned is not None:
        sentences.append(f"Would write {report.planned}.")
    sentences += [_sentence(note[:1].upper() + note[1:]) for note in report.notes]
    return f"{report.file}: {' '.join(sentences)}"


def details(report: SyncReport) -> list[str]:
    """Say what the answer rests on.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.

    Returns
    -------
    list of str
        Indented lines: what was there, each face, and what measured; none about a file
        that could not be read.
    """
    if report.status == "error":
        return []
    seen = [
        _amount(report.duration_s, "{:.1f} s of picture"),
        _amount(report.frame_rate, "{:.2f} pictures per second"),
        _amount(report.speech_s, "{:.1f} s of speech with a face"),
    ]
    lines = [", ".join(part for part in seen if part)]
    for face in report.faces:
        matched = " (it fits the sound best)" if face.track_id == report.face else ""
        fit = _lag(face.alignment) if face.alignment else "not usable"
        lines.append(
            f"face {face.track_id}, {face.place}, seen in {face.coverage:.0%}: {fit}{matched}"
        )
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    lines.append(f"{report.elapsed_s:.1f} s with {made_by}")
    return [f"  {text}" for text in lines if text]


def _finding(report: SyncReport) -> str:
    answer = report.alignment
    face = best_guess(report)
    # One face needs no telling which.
    place = face.place if face and len(report.faces) > 1 else None
    if answer is None:
        sentence = f"no reliable answer: {_sentence(report.reason)}"
        guess = face.alignment if face else None
        if guess is not None and guess.confidence > 0:
            sentence += f" The best guess: {_lag(guess, place)}."
        return sentence
    if report.verdict is None:
        return f"unsure: {_lag(answer, place)}."
    lag_ms = 1000.0 * answer.audio_lag_s
    tolerance = Tolerance.parse(report.tolerance)
    if report.verdict == "in_sync":
        limits = f"{tolerance.early_ms:g} ms early, {tolerance.late_ms:g} ms late"
        return f"in sync: {_lag(answer, place)}, within {tolerance.source} ({limits})."
    if report.verdict == "unacceptable":
        judged, tolerance = "Viewers object", ACCEPTABLE
    elif tolerance.name == "itu":
        judged = "Viewers notice"
    else:
        judged = "Out of tolerance"
    limit = f"{tolerance.source}: {tolerance.limit_ms(lag_ms):g} ms"
    return f"{_lag(answer, place)}. {judged} ({limit})."


def _lag(alignment: Alignment, place: str | None = None) -> str:
    lag_ms = round(1000.0 * alignment.audio_lag_s)
    side = "on time" if lag_ms == 0 else f"{abs(lag_ms)} ms {'late' if lag_ms > 0 else 'early'}"
    measured = f"{_interval(alignment)}, confidence {alignment.confidence:.2f}"
    return f"audio is {side} ({measured}{f'; face: {place}' if place else ''})"


def _interval(alignment: Alignment) -> str:
    """Say ± where that is true, and both ends of a lopsided interval."""
    low_ms, high_ms = (1000.0 * end_s for end_s in alignment.interval_s)
    half_width_ms = (high_ms - low_ms) / 2
    middle_ms = (low_ms + high_ms) / 2
    if abs(middle_ms - 1000.0 * alignment.audio_lag_s) <= LOPSIDED * half_width_ms:
        return f"±{half_width_ms:.0f} ms"
    ends = (f"{abs(end):.0f} ms {'late' if end > 0 else 'early'}" for end in (low_ms, high_ms))
    return " to ".join(ends)


def _residual(residual_ms: float | None) -> str:
    if residual_ms is None:
        return "residual not measured"
    return f"residual {residual_ms + 0.0:.0f} ms".replace("-0 ms", "0 ms")


def _sentence(words: str | None) -> str:
    words = (words or "nobody knows why").rstrip(".")
    return words if words.endswith("?") else f"{words}."


def _amount(value: float | None, pattern: str) -> str:
    return "" if value is None else pattern.format(value)


def summary(counts: Mapping[str, int]) -> str:
    """Count what was found in many files.

    Parameters
    ----------
    counts : mapping of str to int
        How many files there are of each verdict, or status without one.

    Returns
    -------
    str
        Such as ``"9 in sync, 2 noticeable, 1 no answer"``.
    """
    return ", ".join(
        f"{counts[kind]} {word}" for kind, word in KINDS.items() if counts.get(kind)
    )
