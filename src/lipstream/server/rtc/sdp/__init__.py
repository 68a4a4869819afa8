"""SDP: what peers offer, and what we offer and answer."""
