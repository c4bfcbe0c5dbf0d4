"""Files for the benchmark servers, and the scores that they returned."""
