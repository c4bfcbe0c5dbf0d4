"""Sampling: the sampler, its noise and tiles, and a trained model as a folder."""
