"""The proxies that are compared; one file and one line in `known` for each."""
