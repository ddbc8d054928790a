"""How a strategy obtains speech: the sampler, its rows, the state and the trace of a search."""
