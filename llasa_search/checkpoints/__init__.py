"""Checkpoints: names, the hub, complete loading that runs no code from files, library versions.

Code that runs a model belongs elsewhere: `llasa`, `engine` and `verifiers.backends`.
"""
