"""Sound and pictures: values, conversions, and files in and out (PyAV, Pillow)."""
