"""What happens between a dispatched request and its reply: handlers, results, upgrades, mounted applications.

It may import connections, exchanges and requests; its classes are the parts of the servers. A request enters with its
exchange, and leaves with a result as its reply.
"""
