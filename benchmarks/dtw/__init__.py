"""The speed of dynamic time warping, against every library that is installed."""
