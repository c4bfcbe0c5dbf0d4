"""Steps of a plan side by side: in worker processes of this machine, or on the nodes of a Ray cluster."""
