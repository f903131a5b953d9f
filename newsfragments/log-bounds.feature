Logs of apps are bounded to five files of 10 MiB, however fast an app writes, and no app waits for it. Links in the place of a log or of its folder are refused.
