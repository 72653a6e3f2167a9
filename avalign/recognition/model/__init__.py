"""The recogniser: encoders, any fusion, heads, and its files."""
