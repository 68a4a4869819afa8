"""Webhooks: events of sessions, posted to a URL and signed."""
