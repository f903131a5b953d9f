A pool, or a mapping to it, can have a `Host` of its own: the server's address or a fixed name (`host` in the site file).
