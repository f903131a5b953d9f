"""TLS contexts: policies, ticket epochs, certificates on demand, the node's own CA."""
