"""`lipstream bench`: what this machine renders, and how many live sessions it holds."""
