HTTP/2 over TLS: many requests at once on one connection, each with its own flow control; cancelled, endless and stalled ones cost next to nothing.
