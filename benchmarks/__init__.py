"""Measure avalign: ``python -m benchmarks --help``."""
