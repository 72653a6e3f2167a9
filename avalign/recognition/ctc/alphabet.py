"""Which characters a speech model writes, and the numbers it writes them with."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avalign.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLANK = 0
SEPARATOR = " "


@dataclass(frozen=True, slots=True)
class Alphabet:
    """The characters of a CTC model; 0 stands for the blank, 1 for the first character.

    Parameters
    ----------
    characters : str
        The characters in the order of the model's columns, after the blank. A space among
        them separates words.

    Raises
    ------
    ParameterError
        If there is none, or one of them twice.
    """

    characters: str

    def __post_init__(self) -> None:
        if not self.characters:
            raise ParameterError("an alphabet needs characters", "name at least one")
        for position, character in enumerate(self.characters):
            if character in self.characters[:position]:
                raise ParameterError(
                    f"the alphabet {self.characters!r} holds {character!r} twice",
                    "name each character once",
                )

    @property
    def size(self) -> int:
        """Number of columns of a model: all characters and the blank."""
        return len(self.characters) + 1

    @property
    def separator(self) -> int | None:
        """Number of the space between words, None where the alphabet has none."""
        index = self.characters.find(SEPARATOR)
        return None if index < 0 else index + 1

    def encode(self, text: str) -> NDArray[np.int64]:
        """Turn text into numbers, one per character.

        Parameters
        ----------
        text : str
            Characters of this alphabet; `spell` makes words into such.

        Returns
        -------
        ndarray of shape (len(text),), int64
            Numbers from 1.

        Raises
        ------
        ParameterError
            If the alphabet lacks a character.
        """
        import numpy as np

        for index, character in enumerate(text):
            if character not in self.characters:
                raise ParameterError(
                    f"the character {character!r} at {index} in {text[:60]!r} is not in the "
                    f"alphabet {self.characters!r}",
                    "spell it out, such as 'two' for '2', or use a model that knows it",
                )
        numbers = [self.characters.index(character) + 1 for character in text]
        return np.array(numbers, np.int64)

    def decode(self, numbers: Iterable[int]) -> str:
        """Turn numbers back into text.

        Parameters
        ----------
        numbers : iterable of int
            Numbers that `encode` gives; blanks are left out, repeats are kept.

        Returns
        -------
        str
            The text.

        Raises
        ------
        ParameterError
            If a number stands for no character.
        """
        text = []
        for number in numbers:
            if not 0 <= number < self.size:
                raise ParameterError(
                    f"{number} stands for no character: the alphabet has {self.size - 1}",
                    "decode with the alphabet of the model that wrote it",
                )
            if number != BLANK:
                text.append(self.characters[number - 1])
        return "".join(text)

    def spell(self, word: str) -> str:
        """Write a word as it stands in running text with the characters of this alphabet.

        Case is changed where only the other case is known; accents are dropped from
        letters that are known without them, and punctuation that is not known.

        Parameters
        ----------
        word : str
            A word, such as ``"Café,"``.

        Returns
        -------
        str
            Its spelling, such as ``"cafe"``; empty where nothing is left to say.

        Raises
        ------
        ParameterError
            If the alphabet lacks a letter, a digit or a symbol.
        """
        spelling = "".join(
            map(self._known_form, word.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        )
        self.encode(spelling)
        return spelling

    def _known_form(self, character: str) -> str:
        plain = unicodedata.normalize("NFD", character)[0]
        for form in (
            character,
            character.lower(),
            character.upper(),
            plain,
            plain.lower(),
            plain.upper(),
        ):
            if form and all(part in self.characters for part in form):
                return form
        is_silent = unicodedata.category(character)[0] in "PCM"
        return "" if is_silent else character


ENGLISH = Alphabet(" abcdefghijklmnopqrstuvwxyz'")
