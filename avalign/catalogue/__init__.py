"""Every method avalign knows: what it is, when to use it, who described it, how it is called.

The command ``avalign methods`` and the page of the documentation are both made from these
entries. Reading them imports neither torch nor the methods themselves.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
