"""Trains the embedded models: `python -m examples.train_tiny`."""
