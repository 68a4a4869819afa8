"""Media over WebRTC: SDP, ICE, DTLS, RTP."""
