"""The one decision: what is said of a clip, and whether its file may be changed.

Everything here is pure: what was found goes in, a decision comes out. Wherever else a
confidence is held against a threshold, the threshold is one of these.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from avalign.align.lag import may_be_in_sync
from avalign.errors import NoAnswerError

if TYPE_CHECKING:
    from avalign.align.clip import ClipAlignment
    from avalign.types import Alignment, Tolerance, Verdict

# An estimate of which less than this is expected to be right is no answer. Low on
# purpose: the confidence says the rest, and nothing is written on the strength of it.
ANSWER_CONFIDENCE = 0.10
# An estimate that is more likely wrong than right says nothing about in sync or not.
VERDICT_CONFIDENCE = 0.5
# A file is changed only where the answer is as good as certain.
REPAIR_CONFIDENCE = 0.8
# Less than this of speech with the lips in view decides nothing.
SHORTEST_SPEECH_S = 0.25
# Sound that is rather foreign than not is said not to be of these lips, unless one lag
# stands out all the same.
_OUTSTANDING_CONFIDENCE = 0.2

Status = Literal["ok", "no_answer", "error"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is said of one clip.

    Parameters
    ----------
    status : {"ok", "no_answer"}
        Whether there is an answer.
    verdict : {"in_sync", "noticeable", "unacceptable"} or None
        What the answer means; None where it does not decide.
    reason : str or None
        Why there is no answer or no verdict, or what a forced answer was given in spite of.
    answer : Alignment or None
        The estimate that is stood by.
    stands : bool
        Whether something may be done on the strength of it.
    in_place : bool
        Whether the file is as it should be already.
    """

    status: Status
    verdict: Verdict | None
    reason: str | None
    answer: Alignment | None
    stands: bool
    in_place: bool = False

    @property
    def writes(self) -> bool:
        """Whether a repaired file is to be written."""
        return self.stands and not self.in_place

    @property
    def exit_code(self) -> int:
        """What the command line returns: 0, or that of `NoAnswerError`."""
        return 0 if self.stands else NoAnswerError.exit_code


def decide(found: ClipAlignment, tolerance: Tolerance) -> Decision:
    """Decide about a clip that was measured.

    Parameters
    ----------
    found : ClipAlignment
        What `align_streams` found.
    tolerance : Tolerance
        What the lag is held against.

    Returns
    -------
    Decision
        Without an answer where the guess is in doubt; without a verdict where one lag is
        not the answer, or the evidence does not decide on which side of a limit it lies.
    """
    answer = found.alignment
    if found.reason is not None or answer is None:
        return Decision("no_answer", None, found.reason, None, stands=False)
    # One lag, however likely, is not the answer where the lag changes.
    reason = found.change.reason if found.change else _indecision(answer, tolerance)
    if reason is not None:
        return Decision("ok", None, reason, answer, stands=False)
    verdict = tolerance.judge(1000.0 * answer.audio_lag_s)
    return Decision("ok", verdict, None, answer, True, in_place=verdict == "in_sync")


def decide_repair(
    decision: Decision,
    guess: Alignment | None,
    tolerance: Tolerance,
    *,
    force: bool = False,
    new_audio: bool = False,
) -> Decision:
    """Ask more of an answer that changes a file, or less where the user insists.

    Parameters
    ----------
    decision : Decision
        What `decide` said.
    guess : Alignment or None
        The best guess, trusted or not.
    tolerance : Tolerance
        What the lag is held against.
    force : bool
        Trust the best guess. At the edge of the searched range, or without speech, it is
        known not to be the lag, whoever insists.
    new_audio : bool
        Whether the sound comes from another file: it is in no file with this picture yet.

    Returns
    -------
    Decision
        It ``writes`` where a repaired file is to be written.
    """
    if decision.verdict is None:
        known_wrong = guess is None or guess.at_edge or guess.confidence == 0.0
        if not force or guess is None or (decision.answer is None and known_wrong):
            return decision
        verdict = tolerance.judge(1000.0 * guess.audio_lag_s)
        in_place = verdict == "in_sync" and not new_audio
        return Decision("ok", verdict, decision.reason, guess, True, in_place)
    decision = replace(decision, in_place=decision.in_place and not new_audio)
    answer = decision.answer
    if decision.in_place or answer is None or answer.confidence >= REPAIR_CONFIDENCE:
        return decision
    reason = f"a confidence of {answer.confidence:.2f} is too low to change a file by"
    return replace(decision, reason=reason, stands=force)


def doubt(guess: Alignment, max_lag_s: float, *, several: bool) -> str | None:
    """Say why a guess is no answer, the most telling cause first.

    Parameters
    ----------
    guess : Alignment
        The best guess.
    max_lag_s : float
        How far lags were searched.
    several : bool
        Whether there is more than one face.

    Returns
    -------
    str or None
        The reason in words; None where the guess is an answer.
    """
    if guess.speech_s < SHORTEST_SPEECH_S:
        return "too little speech while a face is in view"
    if guess.at_edge:
        return (
            f"the best lag lies at the edge of the search range of ±{max_lag_s:g} s; the lag "
            "may be larger (--max-lag), or the mouth hidden, or not that of the voice"
        )
    foreign = guess.diagnostics["match_probability"] < 0.5
    needed = _OUTSTANDING_CONFIDENCE if foreign else ANSWER_CONFIDENCE
    if guess.confidence >= needed:
        return None
    if foreign:
        mouths = "any mouth in the picture" if several else "the mouth in the picture"
        return f"the voice does not fit {mouths}"
    if guess.diagnostics.get("share_among_faces", 1.0) < 0.6:
        return "two faces fit the voice about equally well"
    if guess.speech_s < 2.0:
        return f"too short: {guess.speech_s:.1f} s of speech with the face in view"
    return "the evidence is too weak"


def _indecision(answer: Alignment, tolerance: Tolerance) -> str | None:
    """Say why an answer carries no verdict, if it does not."""
    if answer.confidence < VERDICT_CONFIDENCE:
        return "the evidence is too weak for a verdict"
    lag_ms = 1000.0 * answer.audio_lag_s
    ends_ms = (1000.0 * end_s for end_s in answer.interval_s)
    if tolerance.accepts(lag_ms) or tolerance.excludes(*ends_ms):
        return None
    if may_be_in_sync(answer):
        # The likeliest lag may be right, and yet a shift may make things worse.
        return (
            f"the file may be in sync as it is: a lag of {lag_ms:.0f} ms "
            "fits hardly better than none"
        )
    if answer.confidence < REPAIR_CONFIDENCE:
        return "the interval reaches into the tolerance, and the confidence does not decide"
    return None
