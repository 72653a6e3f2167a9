"""The shape of a recogniser, and what it can say; stored as JSON beside the weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from avalign.errors import ParameterError
from avalign.files import parse_json
from avalign.recognition.material.features import FEATURES, RATE_HZ

_MOST_WORDS = 100_000
_LONGEST_WORD = 200


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How one stream is read.

    Parameters
    ----------
    feature : str
        Kind of its rows: a key of `FEATURES`, or a name of your
        own for rows that an encoder of your own makes.
    columns : int
        Numbers in a row.
    components : int
        Principal components to read in place of the columns; 0 for the columns.
    centre : bool
        Take the clip's own mean off, so that face and microphone matter less.
    velocity : bool
        Read how fast each number changes, too.
    noise : float
        In training, deviation of a random factor and a random summand for each number
        read and clip; a tremor is half as large. Other faces, other microphones.
    """

    feature: str
    columns: int
    components: int = 0
    centre: bool = True
    velocity: bool = False
    noise: float = 0.0

    @classmethod
    def of(cls, feature: str, **options: Any) -> StreamSettings:
        """Look the columns of a kind of features up.

        Parameters
        ----------
        feature : str
            A key of `avalign.recognition.material.features.FEATURES`.
        **options
            The other fields.

        Returns
        -------
        StreamSettings
            The settings.

        Raises
        ------
        ParameterError
            If there is no such kind.
        """
        if feature not in FEATURES:
            raise ParameterError(
                f"no features are called {feature!r}", f"choose one of {', '.join(FEATURES)}"
            )
        return cls(feature, FEATURES[feature].columns, **options)

    @property
    def width(self) -> int:
        """Numbers in a row as the network reads it."""
        return (self.components or self.columns) * (2 if self.velocity else 1)


@dataclass(frozen=True, slots=True)
class RecognizerSettings:
    """The shape and the outputs of a recogniser; stored as JSON.

    Parameters
    ----------
    streams : mapping of str to StreamSettings
        What it reads, by name.
    fusion : str
        One of `avalign.fusion.list_fusions`.
    fusion_options : mapping of str to number, str or bool
        Options of `avalign.fusion.build_fusion`.
    width : int
        Units per direction of the recurrent layers; rows inside are twice as wide.
    dropout : float
        Fraction of values dropped in training.
    context : bool
        Whether a recurrent layer reads the fused rows. Without one, fusion is the last
        that joins the streams: late fusion is late only so.
    unimodal : bool
        Whether each stream has heads of its own, trained beside the fused ones, so that
        the weaker stream is learnt from, too.
    characters : str
        Alphabet of the speech head, without the blank; ``""`` for no speech head.
    labels : tuple of str
        Classes of the classifier; none for no classifier.
    values : tuple of str
        Names of the numbers the regression gives; none for no regression.
    vocabulary : tuple of str
        Words of the training transcripts.
    word_rows : bool
        Whether a further head says which word of the vocabulary each row belongs to. It
        is an aid to training: CTC alone needs far more sentences to begin to learn.
    stride : int
        Rows that the encoders make one of, and the heads two of again: 2 costs half of
        what 1 does.
    rate_hz : float
        Rows per second of all streams.
    statistics : bool
        Whether the mean and the deviation of each stream over the clip are added to its
        rows before fusion: what is true of a clip as a whole, as its emotion is, is learnt
        from far fewer clips so.
    """

    streams: Mapping[str, StreamSettings]
    fusion: str = "early"
    fusion_options: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    width: int = 128
    dropout: float = 0.3
    context: bool = True
    unimodal: bool = True
    characters: str = ""
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    word_rows: bool = False
    stride: int = 2
    rate_hz: float = RATE_HZ
    statistics: bool = False

    def __post_init__(self) -> None:
        faults = [*self._faults()]
        if faults:
            raise ParameterError(f"a recogniser cannot be built: {faults[0]}")

    def _faults(self) -> list[str]:
        sizes = [("width", self.width, 1, 4096), ("stride", self.stride, 1, 8)]
        for name, stream in self.streams.items():
            sizes.append((f"columns of {name!r}", stream.columns, 1, 65_536))
            most = min(stream.columns, 4096)
            sizes.append((f"components of {name!r}", stream.components, 0, most))
        faults = [
            f"{name} is {size!r}, not an integer from {least} to {most}"
            for name, size, least, most in sizes
            if type(size) is not int or not least <= size <= most
        ]
        if not 1 <= len(self.streams) <= 16:
            faults.append(f"it reads {len(self.streams)} streams, not 1 to 16")
        if not 0 <= self.dropout < 1:
            faults.append(f"dropout is {self.dropout!r}, not from 0 to below 1")
        if not all(0 <= stream.noise <= 10 for stream in self.streams.values()):
            faults.append("the noise of a stream is not from 0 to 10")
        if self.word_rows and not self.vocabulary:
            faults.append("it is to tell words apart, but knows none")
        faults += [
            f"fusion option {name!r} is {option!r}, not a number up to 16384"
            for name, option in self.fusion_options.items()
            if isinstance(option, int | float) and not abs(option) <= 16_384
        ]
        if not 1 <= self.rate_hz <= 1000:
            faults.append(f"rate_hz is {self.rate_hz!r}, not from 1 to 1000")
        if not (self.characters or self.labels or self.values):
            faults.append("it has neither characters, labels nor values to give")
        for what, texts in (("labels", self.labels), ("values", self.values)):
            if len(set(texts)) != len(texts) or len(texts) > 4096 or "" in texts:
                faults.append(f"its {what} are not different names, at most 4096")
        if len(set(self.characters)) != len(self.characters) or len(self.characters) > 4096:
            faults.append("its alphabet does not hold different characters, at most 4096")
        if len(self.vocabulary) > _MOST_WORDS or any(
            len(word) > _LONGEST_WORD for word in self.vocabulary
        ):
            faults.append(f"its vocabulary holds more than {_MOST_WORDS} words, or a long one")
        return faults

    @property
    def digest(self) -> str:
        """Hash of the settings, stored with the weights."""
        return settings_digest(self.to_json())

    def to_json(self) -> str:
        """Write the settings as JSON.

        Returns
        -------
        str
            Indented text, which `from_json` reads.
        """
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RecognizerSettings:
        """Read settings written by `to_json`.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        RecognizerSettings
            The settings.

        Raises
        ------
        ParameterError
            If the text is not what `to_json` writes.
        """
        hint = "use a model that `avalign train speech` or `avalign train emotion` wrote"
        try:
            fields = parse_json(text)
            if not isinstance(fields, dict):
                raise ValueError("they are no JSON object")
            fields["streams"] = {
                str(name): StreamSettings(**stream)
                for name, stream in fields["streams"].items()
            }
            for name in ("labels", "values", "vocabulary"):
                fields[name] = _texts(name, fields[name])
            # Models that are older than these do not name them.
            fields.setdefault("statistics", False)
            _check_types(fields)
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = getattr(error, "message", None) or str(error)
            raise ParameterError(
                f"the settings of the model cannot be read: {problem}", hint
            ) from None


def settings_digest(text: str) -> str:
    """Hash settings as they were written, so that fields added since do not matter."""
    written = json.dumps(parse_json(text), indent=1, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()[:32]


def _texts(name: str, texts: object) -> tuple[str, ...]:
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is no list of texts")
    return tuple(texts)


def _check_types(fields: Mapping[str, Any]) -> None:
    kinds: Mapping[str, type | tuple[type, ...]] = {
        "fusion": str,
        "fusion_options": dict,
        "dropout": (int, float),
        "rate_hz": (int, float),
        "context": bool,
        "unimodal": bool,
        "word_rows": bool,
        "statistics": bool,
        "characters": str,
    }
    wrong = [name for name, kind in kinds.items() if not isinstance(fields[name], kind)]
    for name, stream in fields["streams"].items():
        flags = (stream.centre, stream.velocity)
        is_number = isinstance(stream.noise, int | float)
        is_named = isinstance(stream.feature, str)
        if not (is_named and is_number and all(type(flag) is bool for flag in flags)):
            wrong.append(f"stream {name}")
    wrong += [
        f"fusion option {name}"
        for name, option in fields["fusion_options"].items()
        if not isinstance(option, int | float | str | bool)
    ]
    if wrong:
        raise ValueError(f"{wrong[0]} has the wrong type")
