"""MuseTalk: a network generates the mouth in one step, from the audio."""
