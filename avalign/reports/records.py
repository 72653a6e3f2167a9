"""What a command has to say about one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avalign.align import Status
    from avalign.types import Alignment, FaceAlignment, Verdict


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The answer about one file; `avalign.to_dict` turns it into JSON schema 1.

    Parameters
    ----------
    file : str
        The file as it was named.
    status : str
        ``"ok"``, ``"no_answer"`` or ``"error"``.
    reason : str or None
        Why there is no answer, or what the error was.
    alignment : Alignment or None
        The matching face's alignment; None without an answer.
    face : int or None
        ``track_id`` of the matching face; None without an answer.
    best_face : int or None
        ``track_id`` of the face that fits the sound best, trusted or not.
    verdict : str or None
        ``"in_sync"``, ``"noticeable"``, ``"unacceptable"``; None without an answer.
    tolerance : str
        Name of the tolerance, or ``EARLY/LATE`` in ms.
    faces : tuple of FaceAlignment
        All faces, largest first.
    duration_s, speech_s, face_coverage, frame_rate : float or None
        What was there to measure on.
    video_track, audio_track : int or None
        The tracks that were measured, from 0; None where the file has one of the kind.
    channel : int or None
        The channel that was measured, from 0; None where all were averaged.
    output : str or None
        The repaired file, where one was written.
    planned : str or None
        After a dry run, the file that another run would write.
    residual_ms : float or None
        Lag measured on the repaired file.
    residual_quarters_ms : tuple or None
        The same for each quarter of the time; None where a quarter shows no lag clearly.
    notes : tuple of str
        What the user should know besides, such as "the audio was re-encoded".
    exit_code : int
        What the command line returns for this file alone.
    elapsed_s : float
        Wall time spent.
    """

    file: str
    status: Status
    tolerance: str
    reason: str | None = None
    alignment: Alignment | None = None
    face: int | None = None
    best_face: int | None = None
    verdict: Verdict | None = None
    faces: tuple[FaceAlignment, ...] = ()
    duration_s: float | None = None
    speech_s: float | None = None
    face_coverage: float | None = None
    frame_rate: float | None = None
    video_track: int | None = None
    audio_track: int | None = None
    channel: int | None = None
    output: str | None = None
    residual_ms: float | None = None
    residual_quarters_ms: tuple[float | None, ...] | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    elapsed_s: float = 0.0
    planned: str | None = None

    @property
    def audio_lag_ms(self) -> float | None:
        """Measured audio lag in milliseconds; positive means late."""
        return None if self.alignment is None else self.alignment.audio_lag_s * 1000.0


@dataclass(frozen=True, slots=True)
class AlignReport:
    """The answer about two recordings; `avalign.to_json` turns it into a line of JSON.

    Parameters
    ----------
    reference, other : str
        The files as they were named.
    to : str
        ``"sound"`` or ``"lips"`` of the reference.
    status : str
        ``"ok"``, ``"no_answer"`` or ``"error"``.
    reason : str or None
        Why there is no answer, or what the error was.
    alignment : Alignment or None
        How the clock of the other recording runs against the reference's; None without
        an answer.
    confidence : float or None
        Probability that both hold the same words, answer or not.
    output : str or None
        The file that plays the other recording by the reference's clock, where one was
        written.
    residual_ms : float or None
        Distance from the reference's clock that is kept within for 95 % of the time,
        measured on the file that was written.
    residual_quarters_ms : tuple or None
        The same for each quarter of the time; None where nothing is compared.
    duration_s : float or None
        Length of the reference.
    notes : tuple of str
        What the user should know besides.
    exit_code : int
        What the command line returns.
    elapsed_s : float
        Wall time spent.
    """

    reference: str
    other: str
    to: str
    status: Status
    reason: str | None = None
    alignment: Alignment | None = None
    confidence: float | None = None
    output: str | None = None
    residual_ms: float | None = None
    residual_quarters_ms: tuple[float | None, ...] | None = None
    duration_s: float | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    elapsed_s: float = 0.0
