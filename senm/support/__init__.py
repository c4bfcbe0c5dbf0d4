"""What every room stands on: errors, files, progress, random streams and devices."""
