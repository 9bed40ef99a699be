"""The journey engine: pure values and functions. No clock, no I/O, no vendor, no randomness."""
