A client that waits for `100 Continue` gets it once the app runs: when a start fails it still has its body.
