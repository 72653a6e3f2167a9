"""The shared audio-lip space: one space in which sound and lips can be compared."""

from avalign.space.model import SpaceModel, load_model
from avalign.space.protocol import Space
from avalign.space.settings import EncoderSettings, SpaceSettings

__all__ = ["EncoderSettings", "Space", "SpaceModel", "SpaceSettings", "load_model"]
