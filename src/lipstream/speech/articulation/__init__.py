"""The puppet's speech encoder: log-mel features, a causal network, a noise gate."""
