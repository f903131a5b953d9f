WebSockets over HTTP/2 (RFC 8441): browsers open them on the connection that the page came by; apps see the same upgrade as before.
