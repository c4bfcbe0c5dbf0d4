"""Super-resolution networks and the degradation models of tables 4 and 5: one file or folder each."""
