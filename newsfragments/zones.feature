Zones: records in the site file or from a zone file (hostedge zone import, show, check); domains below a zone are answered with the node's addresses, and its serial grows by itself.
