"""ESRGAN: the network of tables 4 and 5 and its training."""
