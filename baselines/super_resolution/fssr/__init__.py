"""FSSR: frequency separation for real-world super-resolution, a degradation learnt from degraded photographs alone."""
