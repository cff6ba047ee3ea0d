"""The condstore library and command: what producers, jobs and shifters touch."""
