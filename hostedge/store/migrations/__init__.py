"""How the tables of older stores become the ones of `store.tables`; run by `store.upgrade`."""
