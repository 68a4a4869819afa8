"""Access: the token, hosts, origins, rates and the size of bodies."""
