"""Who asks, and what they may: roles on tags, credentials, the one table of routes."""
