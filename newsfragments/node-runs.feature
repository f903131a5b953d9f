The node runs: HTTPS and HTTP with routes from a transactional store, apps that are started by their first visitor and stopped when idle, and a command to change and explain all of it live.
