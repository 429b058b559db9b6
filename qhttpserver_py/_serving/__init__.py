"""What happens between a dispatched request and its reply: handlers, results, upgrades."""
