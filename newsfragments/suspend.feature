``hostedge suspend ACCOUNT`` and ``hostedge resume ACCOUNT``: one call, live on every process when it returns, and it says what was stopped.
