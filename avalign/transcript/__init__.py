"""What is said and when: transcripts read from files, written, and put on a clock.

>>> from avalign.transcript import Transcript, Word
>>> Transcript((Word("bin", 0.5, 0.8), Word("blue", 0.8, 1.1)), "demo").text
'bin blue'
"""

from avalign.transcript.files import read_transcript, write_srt
from avalign.transcript.rows import transcript_stream
from avalign.transcript.words import Transcript, Word

__all__ = ["Transcript", "Word", "read_transcript", "transcript_stream", "write_srt"]
