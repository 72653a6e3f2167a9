from .files import read_transcript as read_transcript
from .files import write_srt as write_srt
from .rows import transcript_stream as transcript_stream
from .words import Transcript as Transcript
from .words import Word as Word
