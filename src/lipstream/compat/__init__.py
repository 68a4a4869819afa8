"""The original interface: facades without logic of their own."""
