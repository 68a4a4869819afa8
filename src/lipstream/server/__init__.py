"""The HTTP and WebRTC server. Needs the extra `lipstream[server]`; only programs import it."""
