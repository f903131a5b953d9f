A mapping can have limits of its own, above or below the node's: `limits` in the site file. New for the node: `response_idle`, `queue_timeout`, `request_timeout`, and a `body_size` of 0 for any.
