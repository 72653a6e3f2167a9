"""The one decision, as a table: what was found, and what is said and done."""

from types import SimpleNamespace

import pytest
from planted import alignment

from avalign.align import Decision, decide, decide_repair
from avalign.align.decision import doubt
from avalign.types import Tolerance

ITU = Tolerance.parse("itu")
FITS = {"match_probability": 0.9}


def found(guess, *, reason=None, change=None):
    change = None if change is None else SimpleNamespace(reason=change)
    return SimpleNamespace(alignment=guess, reason=reason, change=change)


CERTAIN = {"confidence": 0.97, "half_width_s": 0.009}
# Wide enough to reach into the tolerance, and far from zero all the same.
LIKELY = {"confidence": 0.7, "half_width_s": 0.06}


@pytest.mark.parametrize(
    ("what", "status", "verdict", "words"),
    [
        (found(None, reason="no face in the picture"), "no_answer", None, "no face"),
        (found(alignment(0.2), reason="too short"), "no_answer", None, "too short"),
        (found(alignment(0.2), change="it drifts"), "ok", None, "it drifts"),
        (found(alignment(0.0, **CERTAIN)), "ok", "in_sync", None),
        (found(alignment(0.125, **CERTAIN)), "ok", "in_sync", None),
        (found(alignment(-0.046, **CERTAIN)), "ok", "noticeable", None),
        (found(alignment(0.2, **CERTAIN)), "ok", "unacceptable", None),
        (found(alignment(0.2, confidence=0.49)), "ok", None, "too weak for a verdict"),
        (found(alignment(0.0, confidence=0.51)), "ok", "in_sync", None),
        (found(alignment(0.3, **LIKELY)), "ok", "unacceptable", None),
        (found(alignment(0.17, **LIKELY)), "ok", None, "reaches into the tolerance"),
        (found(alignment(0.17, confidence=0.81, half_width_s=0.06)), "ok", "noticeable", None),
        (found(alignment(0.2, confidence=0.9, half_width_s=0.3)), "ok", None, "may be in sync"),
    ],
)
def test_what_is_said_of_what_was_found(what, status, verdict, words):
    decision = decide(what, ITU)
    assert (decision.status, decision.verdict) == (status, verdict)
    assert (decision.reason is None) == (words is None)
    assert words is None or words in decision.reason
    assert decision.answer is (what.alignment if status == "ok" else None)
    # Something may be done exactly where there is a verdict, and need not be in sync.
    assert decision.stands == (verdict is not None)
    assert decision.writes == (verdict not in (None, "in_sync"))
    assert decision.exit_code == (0 if verdict else 4)


def said(verdict, guess, *, reason=None):
    """What `decide` said: without a verdict, an answer that does not decide."""
    return Decision(
        "ok", verdict, reason, guess, verdict is not None, in_place=verdict == "in_sync"
    )


def nothing(reason="too short"):
    return Decision("no_answer", None, reason, None, False)


SURE, UNSURE, SYNC = alignment(0.2), alignment(0.2, confidence=0.6), alignment(0.01)
EDGE, SILENT = alignment(0.2, at_edge=True), alignment(0.2, confidence=0.0)


@pytest.mark.parametrize(
    ("decision", "guess", "options", "verdict", "writes", "exit_code"),
    [
        # what decides by itself
        (said("unacceptable", SURE), SURE, {}, "unacceptable", True, 0),
        (said("in_sync", SYNC), SYNC, {}, "in_sync", False, 0),
        (said("in_sync", SYNC), SYNC, {"force": True}, "in_sync", False, 0),
        # sound from elsewhere is in no file yet
        (said("in_sync", SYNC), SYNC, {"new_audio": True}, "in_sync", True, 0),
        # too little confidence to change a file by
        (said("unacceptable", UNSURE), UNSURE, {}, "unacceptable", False, 4),
        (said("unacceptable", UNSURE), UNSURE, {"force": True}, "unacceptable", True, 0),
        # an answer without a verdict
        (said(None, UNSURE, reason="unsure"), UNSURE, {}, None, False, 4),
        (said(None, UNSURE, reason="unsure"), UNSURE, {"force": True}, "unacceptable", True, 0),
        # no answer
        (nothing(), SURE, {}, None, False, 4),
        (nothing(), SURE, {"force": True}, "unacceptable", True, 0),
        (nothing(), SYNC, {"force": True}, "in_sync", False, 0),
        (nothing(), SYNC, {"force": True, "new_audio": True}, "in_sync", True, 0),
        # known to be wrong, whoever insists
        (nothing(), EDGE, {"force": True}, None, False, 4),
        (nothing(), SILENT, {"force": True}, None, False, 4),
        (nothing(), None, {"force": True}, None, False, 4),
    ],
)
def test_whether_a_file_is_changed(decision, guess, options, verdict, writes, exit_code):
    decided = decide_repair(decision, guess, ITU, **options)
    assert (decided.verdict, decided.writes, decided.exit_code) == (verdict, writes, exit_code)
    # What is done in spite of a reason keeps it.
    if decision.reason is not None:
        assert decided.reason == decision.reason
    elif exit_code or (options.get("force") and guess is UNSURE):
        assert "too low to change a file" in decided.reason


@pytest.mark.parametrize(
    ("details", "diagnostics", "words"),
    [
        ({"confidence": 0.97}, {}, None),
        ({"confidence": 0.11}, {}, None),
        ({"confidence": 0.09}, {}, "too short: 1.5 s"),
        ({"confidence": 0.09}, {"share_among_faces": 0.5}, "two faces fit"),
        ({"confidence": 0.19}, {"match_probability": 0.4}, "does not fit the mouth"),
        ({"confidence": 0.21}, {"match_probability": 0.4}, None),
        ({"confidence": 0.97, "at_edge": True}, {}, "--max-lag"),
    ],
)
def test_what_makes_a_guess_doubtful(details, diagnostics, words):
    guess = alignment(0.2, **details)
    guess.diagnostics.update({**FITS, **diagnostics})
    reason = doubt(guess, 1.0, several=False)
    assert (reason is None) == (words is None)
    assert words is None or words in reason
