"""Training loops; everything here needs torch."""
