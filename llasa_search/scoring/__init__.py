"""Scoring for strategies: scorer, cascade, gate, isolation of third-party code."""
