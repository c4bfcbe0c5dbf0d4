"""The same command inside the project's image."""
