"""SeNM-VAE: semi-supervised noise modelling with a hierarchical VAE (D. Zheng et al., CVPR 2024)."""
