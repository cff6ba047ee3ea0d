"""Thin storage: payload blobs, an append-only ledger and the streaming buffer, over HTTP. Knows no physics."""
