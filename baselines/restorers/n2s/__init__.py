"""Noise2Self: any network made blind to its own pixel by masks on a grid."""
