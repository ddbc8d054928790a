"""Contains programs to copy, plug-in packages, benchmarks, and the training of the embedded models; see README.md."""
