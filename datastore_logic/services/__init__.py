"""One function a use case: decide on a snapshot, store, answer. No HTTP here."""
