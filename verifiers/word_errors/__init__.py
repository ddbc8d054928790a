"""Word errors: normalisers, and the alignment of a text with a transcript."""
