"""Tells twistd that there is `hostedge`."""

from twisted.application.service import ServiceMaker

hostedge = ServiceMaker(
    "hostedge",
    "hostedge.tap",
    "Multi-protocol edge node for hosting providers.",
    "hostedge",
)
