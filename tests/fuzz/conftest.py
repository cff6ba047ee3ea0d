"""The laws are imported by their test; the fuzzer is a program, which instruments imports."""

collect_ignore_glob = ["law*.py", "every.py", "fuzzer.py"]
