"""Dynamic time warping of vector series, in steps (1, 1), (1, 0) and (0, 1) of weight 1."""
