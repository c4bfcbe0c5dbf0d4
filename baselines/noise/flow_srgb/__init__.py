"""Flow-sRGB: a normalising flow of sRGB noise that knows camera and ISO (Kousha et al., CVPR 2022; table 1)."""
