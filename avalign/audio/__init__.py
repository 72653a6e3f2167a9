"""Samples to feature streams, and speech activity."""

from avalign.audio.activity import speech_activity
from avalign.audio.features import log_mel, mfcc
from avalign.audio.mel import MfccSettings
from avalign.audio.stretch import laid_out, stretched

__all__ = ["MfccSettings", "laid_out", "log_mel", "mfcc", "speech_activity", "stretched"]
