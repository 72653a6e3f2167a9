"""Line up the sound and the picture of a talking person."""

__version__ = "0.1.0"
