"""Thin storage over HTTP: payload blobs, an append-only ledger, the streaming buffer.

It knows no physics and never interprets a tag.
"""
