While an edge is more than 50 ms late it begins at most a hundred full TLS handshakes a second, from however many addresses they are asked for (`tls_strained`).
