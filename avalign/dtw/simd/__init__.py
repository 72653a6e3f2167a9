"""Vectors of the processor as values inside compiled kernels."""
