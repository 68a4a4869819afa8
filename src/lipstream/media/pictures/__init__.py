"""Pictures and animations, told by their content and read by Pillow."""
