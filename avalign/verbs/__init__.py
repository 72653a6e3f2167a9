"""The verbs, each one step on what the step before gave.

``measure`` aligns the streams of a file and reports, ``repair`` writes. ``check`` is the
report of ``measure``; ``sync`` is ``measure``, then ``repair``; ``check_many`` is ``check`` of
many files. Of two recordings, ``compare`` measures how their clocks run against each other,
``retime`` writes one in the time of the other, and ``align_files`` does both. The audio lag
is the time of an event in the sound minus its time in the picture, so a positive lag means
that the audio is late.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
