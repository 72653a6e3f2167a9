"""Training: of the shared space, and of recognisers; everything here needs torch."""
