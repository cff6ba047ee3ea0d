"""The `condstore` command, one module a noun: parse, call the library, show what it returned."""
