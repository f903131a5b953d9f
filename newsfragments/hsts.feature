A domain can ask browsers to visit it over TLS only: `hsts` in the site file, on every answer over TLS, the node's own refusals and redirects included.
