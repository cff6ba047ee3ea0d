"""The streaming buffer: segments of strain, stored as files, counted, frozen and archived."""
