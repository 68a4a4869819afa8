"""The guards between a viewer's sockets and the libraries that read them."""
