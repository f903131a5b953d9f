"""WebSocket connections through the node, with Autobahn on both sides."""
