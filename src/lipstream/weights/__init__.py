"""Weights that users download: their catalogue, transfer, and proof of their content."""
