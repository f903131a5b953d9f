`[trust] depth`: where it is known how many proxies a request has passed, their addresses need not be.
