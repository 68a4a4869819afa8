"""From an avatar to what the networks need of it."""
