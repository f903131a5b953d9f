Requests of HTTP/1.0 without `Host`, as monitors send them, can be answered by one domain: `default_site` in the settings file.
