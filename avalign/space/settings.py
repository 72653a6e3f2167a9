"""The shape of the audio-lip encoders; stored with the weights as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from avalign.errors import MediaError

__all__ = ["EncoderSettings", "SpaceSettings"]


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

    def check(self) -> None:
        """Refuse settings that no trained model has.

        Raises
        ------
        ValueError
            If a number is out of bounds.
        """
        counts = (
            *(self.members, self.audio_columns, self.lip_columns, self.lip_components),
            *(self.channels, self.dimensions, self.audio.stride, self.lips.stride),
            *(*self.audio.kernels, *self.audio.dilations),
            *(*self.lips.kernels, *self.lips.dilations),
        )
        if not all(isinstance(count, int) and 1 <= count <= 1024 for count in counts):
            raise ValueError("a size is not from 1 to 1024")
        numbers = (
            *(self.rate_hz, self.audio_rate_hz, self.normalisation_s),
            *(self.prior_rows_audio, self.prior_rows_lips, self.zero_lag_s, self.no_match),
        )
        if not all(abs(number) < 1e6 for number in numbers) or min(numbers[:3]) <= 0:
            raise ValueError("a rate, span or offset is out of bounds")

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
            fields = json.loads(text)
            for name in ("audio", "lips"):
                encoder = fields[name]
                fields[name] = EncoderSettings(
                    tuple(int(width) for width in encoder["kernels"]),
                    tuple(int(spacing) for spacing in encoder["dilations"]),
                    int(encoder["stride"]),
                )
            settings = cls(**fields)
            settings.check()
            return settings
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise MediaError(
                f"the weights' settings cannot be read: {error}",
                "use weights written by `avalign train space`",
            ) from None
