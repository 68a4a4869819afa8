"""Simli's peer-to-peer protocol: clients made for that service work with this server's address.

A token opens a session, one WebSocket carries the offer, the speech and words about it.
"""
