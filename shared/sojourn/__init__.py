"""Sojourn: customer journeys as serverless functions on Google Cloud."""
