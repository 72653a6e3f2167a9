"""Train recognisers of speech and emotion; everything here needs torch."""

import lazy_loader

from avalign.errors import import_guard

with import_guard(
    "training needs torch, which does not load", 'pip install "avalign[recognition]"'
):
    import torch  # noqa: F401

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
