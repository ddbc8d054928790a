"""Lists of recordings from any synthesiser: manifests, their scores, summaries, statistics."""
