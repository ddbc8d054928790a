"""What knows Llasa: prompt format, loading, codec, durations, context window."""
