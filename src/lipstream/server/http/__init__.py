"""HTTP and WebSocket on TCP connections: places, deadlines, uvicorn around the application."""
