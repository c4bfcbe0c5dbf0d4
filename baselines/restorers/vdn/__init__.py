"""VDN: variational denoising with an inferred noise variance (Yue et al., NeurIPS 2019)."""
