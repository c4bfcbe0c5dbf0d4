"""DeamNet: an unrolled adaptive consistency prior with dual attention (Ren et al., CVPR 2021)."""
