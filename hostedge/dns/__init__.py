"""DNS: the zones that an edge knows, and the sockets on which it is asked."""
