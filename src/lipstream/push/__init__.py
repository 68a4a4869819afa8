"""A live session, pushed to a server of streams (RTMP) by a process of its own."""
