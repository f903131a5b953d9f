A source whose HTTP/2 connections are ended for floods (resets, CONTINUATION, PING, SETTINGS and the like) begins fewer and fewer TLS handshakes, on all edges, until that fades (`tls_struck`).
