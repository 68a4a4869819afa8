"""Live sessions: utterances in as they come, units of picture and sound out as they are due."""
