"""Code that is specific to Llasa: prompt format, loading, codec, durations, context window."""
