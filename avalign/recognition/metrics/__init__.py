"""How good answers are: words, classes, numbers, rankings, and what alignment wins back.

Every metric that is not defined for what it is given is None, never NaN and never a guess.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
