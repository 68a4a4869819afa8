"""Decoded frames of a video: whole, upright, of one size, at a constant rate."""
