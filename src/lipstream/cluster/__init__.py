"""Several servers that are one to their users: a front, and whoever supervises the workers."""
