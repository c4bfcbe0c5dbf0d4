"""LUD-VAE: noise learnt from unpaired clean and noisy photographs with a hierarchical variational autoencoder."""
