"""Dynamic time warping of univariate series, many rows of the matrix at a time."""
