Connections of HTTP/1 are renewed after as many requests and as much time as those of HTTP/2: `connection_requests` and `connection_age`, which replace `h2_requests` and `h2_age`.
