"""The requests of plugins of other services: an avatar in a room of LiveKit.

Both speak to the room by LiveKit's own protocol then, as our plugin does.
"""
