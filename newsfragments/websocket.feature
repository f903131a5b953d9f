WebSockets: `websocket: true` on a mapping to an app or pool forwards them, starts a cold app, and tells clients by its close code when the app stops, the account is suspended or the node ends.
