"""From tables to a graph of steps, and what a run does differently from the paper."""
