"""How good a recogniser is, and when to believe it."""
