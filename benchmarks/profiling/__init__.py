"""What it costs: the profiler of the hierarchical sampler, speeds and their plots."""
