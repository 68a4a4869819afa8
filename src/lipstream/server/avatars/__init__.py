"""Avatars of the server: stored, uploaded, decoded in a sandbox."""
