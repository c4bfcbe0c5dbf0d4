"""Training: one loop for both networks, made fast, spread over processes, and watched."""
