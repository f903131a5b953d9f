All files in which bodies wait have a common bound, `spool_total`: beyond, requests are refused with 503 and counted. They and files that are being sent count among the descriptors of an edge.
