"""DANet: a noise generator and a denoiser trained together against one critic of image pairs."""
