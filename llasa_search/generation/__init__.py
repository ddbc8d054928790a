"""Sampling for strategies: the sampler, its rows, the state and the trace of a search."""
