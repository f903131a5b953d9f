The node answers DNS over UDP and TCP on each address of `[listen] dns`, IPv4 and IPv6; `hostedge doctor` looks at these addresses, and names the program that has one already.
