"""Uformer with its training (Wang et al., CVPR 2022)."""
