"""The frozen dataclasses that flow through the house.

Time is always the first axis, and every stream carries its own clock
(``times_s``), so that variable frame rate, dropped faces, edit lists and codec
priming are ordinary. All times are presentation times in seconds: what a
player shows, with the zero of the container.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
