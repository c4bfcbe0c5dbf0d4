"""From records to verdicts: cells beside printed cells, claims, and two runs side by side."""
