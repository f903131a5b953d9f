A WebSocket on which one side sends frames with nothing in them by the thousand (pings, pongs, empty fragments, crumbs) is closed with 1008 and counted (`websocket_floods`).
