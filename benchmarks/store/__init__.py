"""The store: content-addressed results of steps, their locks, and released checkpoints."""
