"""Sessions of the server: created, limited, watched and closed."""
