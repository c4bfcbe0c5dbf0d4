"""C2N: a noise generator learnt from unpaired photographs."""
