"""The families that attend."""
