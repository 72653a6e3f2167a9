"""What is said of a file: the records, how a lag is judged, and their JSON."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
