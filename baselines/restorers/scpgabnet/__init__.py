"""SCPGabNet: a denoiser and a noise generator that teach each other on unpaired photographs."""
