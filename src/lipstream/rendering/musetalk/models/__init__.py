"""Networks, one file each, dimensions first."""
