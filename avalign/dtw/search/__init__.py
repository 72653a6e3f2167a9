"""Finding series in longer series, among many, coarse to fine, and live."""
