"""Where bytes and truth are kept: two ports, their volume and their memory implementation."""
