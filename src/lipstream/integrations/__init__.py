"""Faces inside other makers' agents."""
