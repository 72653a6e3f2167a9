"""What is said and when: transcripts read from files, written, and put on a clock.

>>> from avalign.transcript import Transcript, Word
>>> Transcript((Word("bin", 0.5, 0.8), Word("blue", 0.8, 1.1)), "demo").text
'bin blue'
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
