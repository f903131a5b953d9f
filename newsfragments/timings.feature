The access log tells where a request's time went, from the TLS handshake to the last byte of the answer, and how much the client has sent: docs/access-log.md.
