"""Commands of `python -m senm` that need more than a few lines."""
