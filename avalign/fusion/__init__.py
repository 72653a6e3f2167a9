"""Fusion of aligned streams: every family behind one interface.

>>> from avalign.fusion import build_fusion, list_fusions
>>> fusion = build_fusion("early", dims={"audio": 39, "lips": 120}, out_dim=128)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
