"""Protocols of other services, at the edge: each leads to the sessions of this server."""
