"""Transcripts of a manifest, as a model's alphabet spells them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from avalign.data import row_transcript
from avalign.errors import ParameterError
from avalign.transcript import Transcript

if TYPE_CHECKING:
    from avalign.data import Manifest, ManifestRow
    from avalign.recognition import Alphabet


def spell_transcripts(part: Manifest, alphabet: Alphabet) -> list[Transcript]:
    """Spell the words of all rows.

    Parameters
    ----------
    part : Manifest
        Rows that have words.
    alphabet : Alphabet
        The characters to spell with.

    Returns
    -------
    list of Transcript
        One per row.

    Raises
    ------
    ParameterError
        If the alphabet lacks a character; the message names the row.
    MediaError
        If a transcript cannot be read.
    """
    return [spell_row(row, part.name_of(row), alphabet) for row in part.rows]


def spell_row(row: ManifestRow, name: str, alphabet: Alphabet) -> Transcript:
    """Read the words of a row, as the alphabet spells them.

    Parameters
    ----------
    row : ManifestRow
        The row.
    name : str
        What messages call it.
    alphabet : Alphabet
        The characters to spell with.

    Returns
    -------
    Transcript
        Its words without what has no sound; none where the row has none.

    Raises
    ------
    ParameterError
        If the alphabet lacks a character.
    MediaError
        If the transcript cannot be read.
    """
    transcript = row_transcript(row) or Transcript(())
    try:
        words = [
            replace(word, text=spelling)
            for word in transcript.words
            if (spelling := alphabet.spell(word.text))
        ]
    except ParameterError as error:
        raise ParameterError(f"{name}: {error.message}", error.hint) from None
    return Transcript(tuple(words), transcript.source)
