"""Training that systems share: loops, crops and the network restorer."""
