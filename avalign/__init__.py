"""Line up the sound and the picture of a talking person.

>>> import avalign
>>> report = avalign.check("samples/talking-late160.mp4")
>>> round(report.audio_lag_ms, -1)
160.0

A positive lag means that the audio is late. Public names are listed in
``__init__.pyi`` and imported when they are first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
