"""Soft-DTW, its gradient, and both as a loss of torch."""
