"""Samples to feature streams, and speech activity."""
