"""Dynamic time warping: exact, fast, and the same few verbs for every variant.

>>> from avalign import dtw
>>> dtw.distance([0.0, 1.0, 2.0], [0.0, 2.0, 2.0])
1.0
>>> dtw.path([0.0, 1.0, 2.0], [0.0, 2.0, 2.0]).path.tolist()
[[0, 0], [1, 1], [2, 2]]

Arrays in, arrays out, time first; distances are sums without a root. Public names are
imported when they are first used, see ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
