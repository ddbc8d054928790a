"""Recognisers and encoders: the models that verifiers run. One file for each kind of checkpoint."""
