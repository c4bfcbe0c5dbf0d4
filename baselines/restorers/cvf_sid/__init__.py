"""CVF-SID (Neshatavar et al., CVPR 2022): a noisy image taken apart into clean image and two noises, cyclically."""
