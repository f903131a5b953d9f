WebSockets on an app that was replaced have five minutes of their own (`drain_websockets`), not the half minute of requests. A client that has vanished is noticed after two.
