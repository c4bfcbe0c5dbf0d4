"""MAXIM (Tu et al., CVPR 2022) in PyTorch: network, training, and weights of the published parameter tree."""
