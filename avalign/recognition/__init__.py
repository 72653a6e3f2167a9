"""Recognise speech and emotion from aligned streams.

>>> import numpy as np
>>> from avalign.recognition import Alphabet, greedy_decode
>>> emitted = np.log([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])  # blank, o, k
>>> greedy_decode(emitted, [0.0, 0.02, 0.04], Alphabet("ok")).transcript.text
'ok'

Public names are imported when they are first used, so that decoding and metrics need no
torch, see ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
