"""Samples to feature streams, and speech activity."""

from avalign.audio.activity import speech_activity
from avalign.audio.features import log_mel, mfcc
from avalign.audio.mel import MfccSettings

__all__ = ["MfccSettings", "log_mel", "mfcc", "speech_activity"]
