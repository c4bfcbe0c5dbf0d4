"""Steps and the runner that makes what a plan needs and the store lacks."""
