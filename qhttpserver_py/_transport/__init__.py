"""A peer as Qt sees it: sockets, connections, listeners, deadlines."""
