"""LiveKit: a session's pictures and sound in a room, spoken by an agent."""
