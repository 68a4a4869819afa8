"""Renderers: conditioning in, pictures of the talking face out."""
