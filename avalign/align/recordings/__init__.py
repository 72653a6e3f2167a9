"""Two recordings of the same words, and how their clocks run against each other."""
