"""`--data`: what it names, how it is prepared, and where the official sets are published."""
