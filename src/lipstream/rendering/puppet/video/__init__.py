"""Clips that talk: alignment of the face in every frame, and the mouth drawn over it."""
