"""The lines people read."""

from dataclasses import replace

import planted
import pytest
from avalign_cli import text

from avalign.reports import SyncReport
from avalign.types import Tolerance


def report(lag_ms, *, tolerance="itu", **changes):
    found = planted.alignment(lag_ms / 1000)
    return SyncReport(
        **{
            "file": "talk.mp4",
            "status": "ok",
            "tolerance": tolerance,
            "alignment": found,
            "face": 0,
            "faces": (planted.face(0, found),),
            "verdict": Tolerance.parse(tolerance).judge(lag_ms),
            **changes,
        }
    )


def test_the_line_of_the_readme():
    assert text.line(report(160, output="talk.synced.mp4", residual_ms=2.1)) == (
        "talk.mp4: audio is 160 ms late (±9 ms, confidence 0.97). Viewers notice "
        "(ITU-R BT.1359: 125 ms). Wrote talk.synced.mp4, residual 2 ms."
    )


@pytest.mark.parametrize(
    ("lag_ms", "tolerance", "ending"),
    [
        (-60, "itu", "early (±9 ms, confidence 0.97). Viewers notice (ITU-R BT.1359: 45 ms)."),
        (200, "itu", "confidence 0.97). Viewers object (ITU-R BT.1359: 185 ms)."),
        (-100, "ebu", "confidence 0.97). Viewers object (ITU-R BT.1359: 90 ms)."),
        (70, "ebu", "confidence 0.97). Out of tolerance (EBU R37: 60 ms)."),
        (20, "10/15", "confidence 0.97). Out of tolerance (the limit you set: 15 ms)."),
    ],
)  # fmt: skip
def test_the_limit_named_is_the_one_that_was_passed(lag_ms, tolerance, ending):
    assert text.line(report(lag_ms, tolerance=tolerance)).endswith(ending)


def test_in_sync_names_what_it_is_within():
    assert text.line(report(12)) == (
        "talk.mp4: in sync: audio is 12 ms late (±9 ms, confidence 0.97), within "
        "ITU-R BT.1359 (45 ms early, 125 ms late)."
    )
    assert "audio is on time (±9 ms" in text.line(report(-0.4))


def test_a_lopsided_interval_is_told_by_its_ends():
    found = replace(planted.alignment(-0.734), interval_s=(-0.779, 0.920))
    assert "734 ms early (779 ms early to 920 ms late, conf" in text.line(
        report(-734, alignment=found)
    )


def test_a_dry_run_says_what_it_would_write():
    planned = report(160, planned="talk.synced.mp4")
    assert text.line(planned).endswith(" Would write talk.synced.mp4.")
    assert "Would" not in text.line(report(160))


def test_of_several_faces_the_line_names_the_one_that_matches():
    found = planted.alignment(0.16)
    faces = (
        planted.face(0, planted.alignment(0.5), place="left"),
        planted.face(1, found, place="upper right"),
    )
    assert text.line(report(160, alignment=found, face=1, faces=faces)).startswith(
        "talk.mp4: audio is 160 ms late (±9 ms, confidence 0.97; face: upper right). Viewers"
    )


def test_no_answer_gives_the_reason_and_the_guess():
    found = planted.alignment(0.3, confidence=0.31)
    doubtful = SyncReport(
        "talk.mp4",
        "no_answer",
        "itu",
        reason="too short",
        faces=(planted.face(0, found),),
        best_face=0,
    )
    assert text.line(doubtful) == (
        "talk.mp4: no reliable answer: too short. "
        "The best guess: audio is 300 ms late (±9 ms, confidence 0.31)."
    )


def test_a_peak_at_the_edge_is_no_guess():
    edge = planted.alignment(1.0, at_edge=True, confidence=0.0)
    doubtful = SyncReport(
        "talk.mp4",
        "no_answer",
        "itu",
        reason="the peak is at the edge; try --max-lag 5",
        faces=(planted.face(0, edge),),
        best_face=0,
    )
    assert text.line(doubtful) == (
        "talk.mp4: no reliable answer: the peak is at the edge; try --max-lag 5."
    )


def test_a_forced_answer_owns_up():
    forced = report(300, reason="too short.", output="x.mp4", residual_ms=-0.2)
    assert "Forced, although: too short. Wrote x.mp4, residual 0 ms." in text.line(forced)


def test_notes_are_sentences():
    line = text.line(report(160, notes=("sound track 0 was re-encoded as mp3",)))
    assert line.endswith("Sound track 0 was re-encoded as mp3.")


def test_details_name_every_face_and_what_measured():
    lines = "\n".join(text.details(report(160, duration_s=8.0, frame_rate=25.0, speech_s=4.2)))
    assert "8.0 s of picture, 25.00 pictures per second, 4.2 s of speech" in lines
    assert "face 0, centre, seen in 98%: audio is 160 ms late" in lines
    assert "it fits the sound best" in lines
    assert "mediapipe 0.10" in lines


def test_the_summary_counts_what_there_is():
    counts = {"error": 2, "noticeable": 2, "in_sync": 9, "ok": 1}
    assert text.summary(counts) == "9 in sync, 2 noticeable, 1 unsure, 2 failed"


def test_an_error_has_no_details():
    assert text.details(SyncReport("gone.mp4", "error", "itu", reason="no such file")) == []
