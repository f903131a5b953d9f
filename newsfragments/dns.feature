The node answers DNS for the zones of its accounts, over UDP and TCP: records, wildcards,
delegations, and every domain below a zone by itself, with the node's addresses.
