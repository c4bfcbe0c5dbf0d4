"""Files that were made to deceive, and random bytes, through every reader.

`pytest tests/hostile` takes seconds; SENM_FUZZ=1000 makes the random part that many times as long.
"""
