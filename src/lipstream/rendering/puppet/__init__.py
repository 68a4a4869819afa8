"""The puppet: moves a photo by two layers of dense flow, on any CPU."""
