"""Restormer (Zamir et al., CVPR 2022): network, training and published weights."""
