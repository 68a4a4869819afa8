"""The ruler of talking faces: how a video's mouth follows its sound, and fits into the face."""
