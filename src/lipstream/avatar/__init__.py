"""Avatars: a picture or clip of a person, measured once and ready to be animated."""
