"""The commands of `python -m benchmarks.run`: options in, reports out."""
