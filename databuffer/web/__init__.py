"""HTTP: one file a resource. A handler parses, calls one function, encodes the answer."""
