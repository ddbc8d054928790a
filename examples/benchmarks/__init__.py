"""Programs that write the tables of `docs/results`; each runs as `python -m examples.benchmarks.NAME`."""
