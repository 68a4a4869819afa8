"""Routes: what each request means."""
