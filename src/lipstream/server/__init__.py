"""The HTTP and WebRTC server. Needs the extra `lipstream[server]`; nothing else imports it."""
