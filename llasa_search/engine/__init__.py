"""Inference with the language model: forward pass, key-value cache, sampling of tokens, batches of rows."""
