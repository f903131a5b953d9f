One source holds at most 256 connections of the node (`source_connections`), over all edges, from the accept on.
