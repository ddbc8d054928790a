"""Models that verifiers run: recognisers, encoders, and what they share. Scores are made by the verifiers."""
