"""Readers of public corpora: from the folder as it was unpacked to a manifest.

One small file per corpus says how its files are named and laid out. Nothing is downloaded,
and no media file is opened: `avalign.data.audit` does that.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
