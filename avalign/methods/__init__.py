"""Every method avalign knows: what it is, when to use it, who described it, how it is called.

The command ``avalign methods`` and the page of the documentation are both made from these
entries. Reading them imports neither torch nor the methods themselves.
"""

from avalign.methods.entry import Method
from avalign.methods.listing import find_method, list_methods

__all__ = ["Method", "find_method", "list_methods"]
