"""How fast the server is beside others, on the same work, in one run: ``python -m tests.benchmarks``."""
