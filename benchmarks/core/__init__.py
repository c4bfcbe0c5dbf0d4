"""The words that every room uses: steps, records, options, scales and statistics."""
