"""
Which hostedge this is.

In:  the distribution takes its number from here.
Out: `VERSION`, what a process says of the code that it runs.
"""

VERSION = "0.1.0"
