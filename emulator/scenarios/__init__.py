"""Scenarios: what a demo plays on the local cloud, and the oracle that says what must come of it."""
