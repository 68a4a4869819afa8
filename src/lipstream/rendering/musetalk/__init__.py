"""MuseTalk: the mouth is painted by a network, in one step, from what is heard."""
