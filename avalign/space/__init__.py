"""The shared audio-lip space: one space in which sound and lips can be compared.

`load_model` gives the space that is shipped. `build_space` makes an estimator that
learns another, in scikit-learn's manner; the classes of those that are torch networks
are imported when they are built.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
