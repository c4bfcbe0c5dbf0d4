"""NeCA-W: neighbouring correlation-aware noise, learnt a camera with paired images (Fu et al., CVPR 2023; table 1)."""
