"""Transfers of any size through a server process whose memory is watched: ``python -m tests.large --gigabytes 1``."""
