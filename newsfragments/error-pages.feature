A domain can have error pages of its own, for a status or all of a class: `errors` in the site file. A TLS connection that was made for one account's name and asks for another's is answered 421.
