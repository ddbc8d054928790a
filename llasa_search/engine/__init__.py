"""The language model at work: forward pass, key-value cache, sampling of tokens, batches of rows."""
