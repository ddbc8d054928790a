"""Trains the embedded checkpoints: `python -m examples.train_tiny`."""
