A pool can be told who the client is by the PROXY protocol, version 1 or 2: `proxy_protocol` in the site file.
