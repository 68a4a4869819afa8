"""The front: one address before several workers. It holds no state that a restart would lose."""
