"""A synthetic corpus: sentences that espeak-ng speaks, and lips computed from its phones.

For tests, and for experiments in which lag, warp and losses must be known. No clip shows
anybody, and nothing measured on them holds for people.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
