"""Media files in and out; the one room that knows PyAV."""

from avalign.media.audio_reader import iter_audio, read_audio
from avalign.media.channels import Channels, iter_channels, open_channels, open_wav_writer
from avalign.media.frame_reader import Frame, iter_frames
from avalign.media.probe import probe
from avalign.media.programmes import Programme, programmes
from avalign.media.shift import ShiftResult, shift_audio

__all__ = [
    "Channels",
    "Frame",
    "Programme",
    "ShiftResult",
    "iter_audio",
    "iter_channels",
    "iter_frames",
    "open_channels",
    "open_wav_writer",
    "probe",
    "programmes",
    "read_audio",
    "shift_audio",
]
