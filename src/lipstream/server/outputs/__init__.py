"""Sessions kept in files, and pushed to servers of streams."""
