"""Checkpoints: names, the hub, safe and complete loading, versions. What runs a checkpoint is elsewhere."""
