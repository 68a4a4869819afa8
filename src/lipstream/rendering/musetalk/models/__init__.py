"""Networks, one file each, dimensions first; members are named as in published state dicts."""
