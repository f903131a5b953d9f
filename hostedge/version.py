"""Which hostedge this is: what a process says of the code that it runs."""

VERSION = "0.1.0"
