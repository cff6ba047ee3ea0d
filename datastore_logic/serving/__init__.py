"""Between sockets and requests: what of a request has come, how fast, and over which line."""
