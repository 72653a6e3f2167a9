"""What recognisers are trained and tested on: features, utterances, noise."""
