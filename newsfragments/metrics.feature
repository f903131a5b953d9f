`GET /metrics` of the API: every counter, answers by class of status, durations as a histogram, for Prometheus.
