Each account can have a user of its own, and control and edges theirs: nobody reads another's files, environment or sockets, reaches its ports, signals it, or outlives its suspension.
