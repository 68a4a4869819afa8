"""One thread that encodes speech and has frames drawn for all live sessions of a backend."""
