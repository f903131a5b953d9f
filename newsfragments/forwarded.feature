Apps and pools, or mappings to them, can be told who the client is by `Forwarded` (RFC 7239) as well: `forwarded` in the site file.
