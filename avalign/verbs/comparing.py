"""From two recordings of the same words to how their clocks run against each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from avalign.errors import (
    AvalignError,
    NoAnswerError,
    NoAudioError,
    NoFaceError,
    ParameterError,
)
from avalign.reports import AlignReport
from avalign.streams import (
    AnyPath,
    AudioSource,
    Progress,
    choose_audio,
    choose_tracks,
    mfcc_and_speech,
)
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from avalign.align import EmbeddedPair, WarpModel
    from avalign.types import Alignment, LagMap, MediaClip

AlignTo = Literal["sound", "lips"]

# Softer than this, in decibels of full scale, is no recording of anything.
SILENCE_DB = -75.0


@dataclass(frozen=True, slots=True, eq=False)
class AlignedPair:
    """A report on two recordings, and what it was measured on.

    Parameters
    ----------
    report : AlignReport
        The answer.
    pair : EmbeddedPair or None
        Both recordings in one space; None where they could not be compared.
    reference_track, other_track : int
        Sound tracks that were compared.
    other_channel : int or None
        The channel of the other recording that was compared; None for all of them.
    """

    report: AlignReport
    pair: EmbeddedPair | None
    reference_track: int = 0
    other_track: int = 0
    other_channel: int | None = None

    def lag_map(self) -> LagMap | None:
        """Lay out the evidence for every lag over time.

        Returns
        -------
        LagMap or None
            None without an answer.
        """
        from avalign.align import lag_map

        if self.pair is None or self.report.alignment is None:
            return None
        return lag_map(self.pair, self.report.alignment)


def compare(
    reference: AnyPath,
    other: AnyPath,
    *,
    to: AlignTo = "sound",
    model: WarpModel = "auto",
    band_s: float | None = None,
    video_track: int | None = None,
    reference_track: int | None = None,
    other_track: int | None = None,
    reference_channel: int | None = None,
    other_channel: int | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> AlignedPair:
    """Find how the clock of one recording runs against that of another one.

    Parameters
    ----------
    reference : str or Path
        The file whose time counts: a video or, for its sound, a sound file.
    other : str or Path
        The file to be aligned, such as a take of a dub; its sound is what counts.
    to : {"sound", "lips"}
        What in `reference` to align with.
    model : {"auto", "rigid", "drift", "piecewise", "elastic"}
        One lag, a lag that changes steadily, either of them between jumps, or a free one
        with jumps; auto takes the simplest that explains what was found.
    band_s : float, optional
        How far the lag may wander from a steady pace, in seconds; default 5 for sound,
        1.5 for lips, and farther where pieces of the reference lie farther off.
    video_track : int, optional
        Which picture track of `reference`, from 0; by default the first that shows a face.
    reference_track, other_track : int, optional
        Which sound track of each, from 0; by default the first with speech.
    reference_channel, other_channel : int, optional
        Which channel of its sound, from 0; by default all are averaged, or the one with
        speech is taken where others hold something else.
    jobs : int, optional
        Cores to spread the picture over; all of them by default.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    AlignedPair
        The report and what it was measured on. Where the recordings have no words in
        common, the status of the report is ``"no_answer"`` and its reason says so.

    Raises
    ------
    MediaError
        If a file cannot be read.
    ParameterError
        If an argument cannot be used, or there is no such track or channel.
    """
    started = time.perf_counter()
    if to not in get_args(AlignTo):
        raise ParameterError(f"cannot align with the {to!r} of a file", "take sound or lips")
    report = AlignReport(
        str(reference), str(other), to, "no_answer", exit_code=NoAnswerError.exit_code
    )
    pair = None
    first = second = AudioSource()
    try:
        clip = _probe_both(reference, other, to)
        report = replace(report, duration_s=clip.duration_s)
        tracks = choose_audio(other, audio_track=other_track, channel=other_channel)
        second, notes = tracks.audio, [(other, tracks.audio_note)]
        sound = read_audio_track(other, second.track, second.channel)
        if to == "lips":
            tracks = choose_tracks(clip, video_track=video_track, audio_track=reference_track)
            notes.append((reference, tracks.video_note))
            pairs = _pairs_with_faces(reference, tracks.video, sound, jobs, progress)
        else:
            tracks = choose_audio(
                reference, audio_track=reference_track, channel=reference_channel
            )
            first = tracks.audio
            notes.append((reference, tracks.audio_note))
            pairs = _pairs_with_audio(
                read_audio_track(reference, first.track, first.channel), sound
            )
        told = tuple(f"{name}: {note}" for name, note in reversed(notes) if note)
        report = replace(report, notes=told)
        pair, alignment = _best_pair(pairs, model, band_s)
        report = _with_answer(report, alignment)
    except NoAnswerError as error:
        report = replace(report, reason=str(error))
    report = replace(report, elapsed_s=time.perf_counter() - started)
    return AlignedPair(report, pair, first.track, second.track, second.channel)


def align_error_report(report: AlignReport, error: BaseException) -> AlignReport:
    """Note in a report that an error ended the work.

    Parameters
    ----------
    report : AlignReport
        What was known before.
    error : BaseException
        What happened.

    Returns
    -------
    AlignReport
        Status ``"error"`` with the error as its reason and its exit code.
    """
    if isinstance(error, AvalignError):
        return replace(report, status="error", reason=str(error), exit_code=error.exit_code)
    reason = f"a defect in avalign: {type(error).__name__}: {error}"
    return replace(report, status="error", reason=reason, exit_code=AvalignError.exit_code)


def read_audio_track(
    path: AnyPath, track: int = 0, channel: int | None = None
) -> FeatureStream:
    """Read a sound track that holds something.

    Parameters
    ----------
    path : str or Path
        The file.
    track : int
        Which sound track, from 0.
    channel : int, optional
        Which channel of it, from 0; all are averaged by default.

    Returns
    -------
    FeatureStream
        Its MFCC.

    Raises
    ------
    MediaError
        If the file cannot be read.
    NoAnswerError
        If the track is silent.
    ParameterError
        If there is no such track.
    """
    from avalign.align import level_db
    from avalign.media import iter_audio

    mfcc, _ = mfcc_and_speech(iter_audio(path, track=track, channel=channel))
    if float(level_db(mfcc.values).max(initial=-1e3)) < SILENCE_DB:
        raise NoAnswerError(f"{path}: is silent", "name another file or sound track")
    return mfcc


def _probe_both(reference: AnyPath, other: AnyPath, to: AlignTo) -> MediaClip:
    from avalign.media import probe

    clip = probe(reference)
    if to == "lips" and not clip.video_tracks:
        raise NoFaceError(f"{reference}: has no picture", "align it with the sound instead")
    if to == "sound" and not clip.audio_tracks:
        raise NoAudioError(f"{reference}: has no sound track", "align it with --to lips")
    if not probe(other).audio_tracks:
        raise NoAudioError(f"{other}: has no sound track", "name a file with sound")
    return clip


def _pairs_with_audio(reference: FeatureStream, other: FeatureStream) -> Iterator[EmbeddedPair]:
    from avalign.align import pair_audio

    yield pair_audio(reference, other)


def _pairs_with_faces(
    reference: AnyPath,
    video: int,
    other: FeatureStream,
    jobs: int | None,
    progress: Progress | None,
) -> Iterator[EmbeddedPair]:
    from avalign.align import pair_lips
    from avalign.types import usable
    from avalign.vision import lip_streams

    for lips in lip_streams(reference, track=video, jobs=jobs, progress=progress):
        seen = usable(lips)
        if seen.sum() > 1:
            yield pair_lips(lips, seen, other)


def _best_pair(
    pairs: Iterator[EmbeddedPair], model: WarpModel, band_s: float | None
) -> tuple[EmbeddedPair, Alignment]:
    """Align each face, and keep the one that fits best."""
    from avalign.align import align_pair

    best: tuple[EmbeddedPair, Alignment] | None = None
    reason: NoAnswerError = NoFaceError("no usable face in the picture")
    for pair in pairs:
        try:
            alignment = align_pair(pair, model=model, band_s=band_s)
        except NoAnswerError as error:
            reason = error
            continue
        if best is None or alignment.confidence > best[1].confidence:
            best = pair, alignment
    if best is None:
        raise reason
    return best


def _with_answer(report: AlignReport, alignment: Alignment) -> AlignReport:
    from avalign.align import MATCH_CONFIDENCE

    report = replace(report, confidence=alignment.confidence)
    if alignment.confidence < MATCH_CONFIDENCE:
        what = (
            "the lips do not speak these words"
            if report.to == "lips"
            else ("the recordings have no words in common")
        )
        found = alignment.diagnostics
        if found["same_words"] >= MATCH_CONFIDENCE:
            begin_s, end_s = found["worst_begin_s"], found["worst_end_s"]
            what = (
                f"from {begin_s:.0f} to {end_s:.0f} s of the reference only "
                f"{100 * found['worst_fit']:.0f} % fits; cut there, or try a larger --band"
            )
        return replace(report, reason=what)
    if alignment.at_edge:
        return replace(
            report, reason="the lag reaches the edge of the band; try a larger --band"
        )
    return replace(report, status="ok", alignment=alignment, exit_code=0)
