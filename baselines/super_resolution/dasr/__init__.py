"""DASR: a learnt down-sampling network and the domain-distance maps that weight the super-resolution training."""
