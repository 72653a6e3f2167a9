"""Media files in and out; the one room that knows PyAV."""

from avalign.media.audio_reader import iter_audio, read_audio
from avalign.media.frame_reader import Frame, iter_frames
from avalign.media.probe import probe

__all__ = ["Frame", "iter_audio", "iter_frames", "probe", "read_audio"]
