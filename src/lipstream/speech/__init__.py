"""Speech -> conditionings: the encoders, one file each, and the protocol they share."""
