"""HeyGen's LiveAvatar in its LITE mode, as `livekit-plugins-liveavatar` speaks it: an avatar joins
a room of LiveKit, and is spoken in by a socket of its own."""
