"""Colours as files have them, and as the rest of lipstream has them: sRGB of 8 bits."""
