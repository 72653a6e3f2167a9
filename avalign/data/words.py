"""The words of a row of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avalign.data.rows import ManifestRow
    from avalign.transcript import Transcript


def row_transcript(row: ManifestRow) -> Transcript | None:
    """Read the words of a row, with times where its file has them.

    Parameters
    ----------
    row : ManifestRow
        The row. Its transcript file is read where it names one, else its text.

    Returns
    -------
    Transcript or None
        Its words; of a row with a span, those that have their middle in it, on a clock
        that starts with it. None if nobody states the words.

    Raises
    ------
    MediaError
        If the transcript file cannot be read.
    ParameterError
        If it is no transcript.
    """
    from avalign.transcript import Transcript, Word, read_transcript

    if row.transcript is None:
        if not row.text:
            return None
        return Transcript(tuple(Word(word, None, None) for word in row.text.split()), "text")
    transcript = read_transcript(row.transcript)
    if row.start_s is None and row.end_s is None:
        return transcript
    start_s = row.start_s or 0.0
    end_s = float("inf") if row.end_s is None else row.end_s
    words = []
    for word in transcript.words:
        if word.start_s is None or word.end_s is None:
            words.append(word)
        elif start_s <= (word.start_s + word.end_s) / 2 < end_s:
            times_s = max(0.0, word.start_s - start_s), word.end_s - start_s
            words.append(Word(word.text, *times_s, word.confidence))
    return Transcript(tuple(words), transcript.source)
