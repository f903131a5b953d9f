"""How an app is run, one module per word."""
