"""The shape of the audio-lip encoders; stored with the weights as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from avalign.errors import MediaError
from avalign.files import parse_json


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """A stack of dilated convolutions over time.

    Parameters
    ----------
    kernels : tuple of int
        Width of each convolution in rows; odd.
    dilations : tuple of int
        Spacing of the taps of each convolution.
    stride : int
        Rows the first convolution steps over at a time.
    """

    kernels: tuple[int, ...]
    dilations: tuple[int, ...]
    stride: int = 1


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """Encoders of sound and of lips that share a space.

    Parameters
    ----------
    audio, lips : EncoderSettings
        The two encoders.
    """

    audio: EncoderSettings
    lips: EncoderSettings


@dataclass(frozen=True, slots=True)
class SpaceSettings:
    """Everything about a space model that is not a trained number.

    Parameters
    ----------
    members : int
        Independently trained encoder pairs whose scores are averaged.
    audio_columns : int
        Columns of the MFCC stream the model reads.
    lip_columns : int
        Columns of the lip stream: three for each of the 40 lip points and the chin.
    lip_components : int
        Principal components of the lip points the model reads.
    channels : int
        Width of the hidden layers.
    dimensions : int
        Size of one member's space, without the two bias dimensions.
    rate_hz : float
        Embedding rows per second.
    audio_rate_hz : float
        MFCC rows per second; ``rate_hz`` times the audio encoder's stride.
    normalisation_s : float
        Length of the sliding window over which each stream is centred and
        scaled; a shorter stream is normalised as a whole.
    prior_rows_audio, prior_rows_lips : float
        Weight, in rows, of the training data's scale in that normalisation.
    zero_lag_s : float
        Lag the encoders show on average for clips in sync, taken off every
        estimate.
    no_match : float
        Log prior odds of "sound and lips do not belong together" against all
        lags of the search together.
    audio, lips : EncoderSettings
        The two encoders.
    alternate : EncoderPair or None
        Encoders of every second member, where they differ: members that see less or
        more of the time around a row err differently.
    """

    members: int = 1
    audio_columns: int = 13
    lip_columns: int = 123
    lip_components: int = 16
    channels: int = 64
    dimensions: int = 24
    rate_hz: float = 50.0
    audio_rate_hz: float = 100.0
    normalisation_s: float = 10.0
    prior_rows_audio: float = 100.0
    prior_rows_lips: float = 50.0
    zero_lag_s: float = 0.0
    no_match: float = 0.0
    audio: EncoderSettings = EncoderSettings((9, 7, 7), (1, 2, 2), stride=2)
    lips: EncoderSettings = EncoderSettings((7, 5, 5), (1, 1, 2))
    alternate: EncoderPair | None = None

    def of_member(self, member: int) -> SpaceSettings:
        """Return the settings of one member alone.

        Parameters
        ----------
        member : int
            Its number, from 0.

        Returns
        -------
        SpaceSettings
            Settings of one member, with its own encoders.
        """
        audio, lips = self.audio, self.lips
        if self.alternate is not None and member % 2 == 1:
            audio, lips = self.alternate.audio, self.alternate.lips
        return replace(self, members=1, alternate=None, audio=audio, lips=lips)

    def check(self) -> None:
        """Refuse settings that no trained model has.

        Raises
        ------
        ValueError
            If a number is out of bounds.
        """
        pairs = [EncoderPair(self.audio, self.lips)]
        if self.alternate is not None:
            pairs.append(self.alternate)
        encoders = [encoder for pair in pairs for encoder in (pair.audio, pair.lips)]
        counts = (
            *(self.members, self.audio_columns, self.lip_columns, self.lip_components),
            *(self.channels, self.dimensions),
            *(encoder.stride for encoder in encoders),
            *(size for encoder in encoders for size in (*encoder.kernels, *encoder.dilations)),
        )
        if not all(isinstance(count, int) and 1 <= count <= 1024 for count in counts):
            raise ValueError("a size is not from 1 to 1024")
        numbers = (
            *(self.rate_hz, self.audio_rate_hz, self.normalisation_s),
            *(self.prior_rows_audio, self.prior_rows_lips, self.zero_lag_s, self.no_match),
        )
        if not all(abs(number) < 1e6 for number in numbers) or min(numbers[:3]) <= 0:
            raise ValueError("a rate, span or offset is out of bounds")
        if len({(pair.audio.stride, pair.lips.stride) for pair in pairs}) > 1:
            raise ValueError("the strides of the members differ")

    def to_json(self) -> str:
        """Write the settings as JSON.

        Returns
        -------
        str
            One line, which `from_json` reads.
        """
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SpaceSettings:
        """Read settings written by `to_json`.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        SpaceSettings
            The settings.

        Raises
        ------
        MediaError
            If the text is not what `to_json` writes.
        """
        try:
            fields = parse_json(text)
            for name in ("audio", "lips"):
                fields[name] = _encoder(fields[name])
            if fields["alternate"] is not None:
                pair = fields["alternate"]
                fields["alternate"] = EncoderPair(
                    _encoder(pair["audio"]), _encoder(pair["lips"])
                )
            settings = cls(**fields)
            settings.check()
            return settings
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise MediaError(
                f"the weights' settings cannot be read: {error}",
                "use weights written by `avalign train space`",
            ) from None


def _encoder(fields: dict[str, Any]) -> EncoderSettings:
    return EncoderSettings(
        tuple(int(width) for width in fields["kernels"]),
        tuple(int(spacing) for spacing in fields["dilations"]),
        int(fields["stride"]),
    )
