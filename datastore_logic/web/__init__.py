"""One blueprint a contract. A handler parses, calls one function and encodes its answer."""
