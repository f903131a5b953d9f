The access log has the protocol, and two letters that say who ended a request and how far it had come.
