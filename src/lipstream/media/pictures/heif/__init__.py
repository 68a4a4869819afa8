"""HEIF: pictures in the container of mp4, coded like frames of a video, often in tiles (HEIC)."""
