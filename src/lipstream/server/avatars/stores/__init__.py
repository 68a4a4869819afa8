"""Places where servers keep and share uploaded avatars."""
