"""Decoded faces back into their pictures, on the host or on the device."""
