"""From what a CTC model emits to words with times."""
