A mapping, app or pool can keep fields with odd names, as `X_Token` or `api.key`: `keep` in the site file. None that could pass for the node's own.
