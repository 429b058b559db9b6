"""What happens between a dispatched request and its reply: handlers, results, upgrades, mounted applications.

May know connections, exchanges and requests; the servers above are made of it. A request enters with its exchange and
leaves with a result as its reply.
"""
