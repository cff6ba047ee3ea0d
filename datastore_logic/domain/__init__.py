"""The conditions model, pure: no I/O, no clock, no framework. "Now" and "who" are arguments."""
