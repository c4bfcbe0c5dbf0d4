"""Reports of a run: terminal text, Markdown, LaTeX, CSV, JSON, and one HTML page that needs no network."""
