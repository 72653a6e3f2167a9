"""Recognise speech and emotion from aligned streams."""
