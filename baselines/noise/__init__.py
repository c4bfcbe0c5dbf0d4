"""Noise models: one file or folder each."""
