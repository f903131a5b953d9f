"""The route store: SQLite tables, changes, and what an edge keeps of them."""
