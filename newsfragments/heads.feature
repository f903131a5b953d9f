A proxied request of HTTP/1.1 takes a quarter less CPU: heads that come again are judged once.
