Early hints (103) of apps and servers pass to clients: over HTTP/2 always, over HTTP/1.1 to browsers.
