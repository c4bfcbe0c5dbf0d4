"""Noise2Void: a U-Net that predicts pixels which were replaced by others of their neighbourhood."""
