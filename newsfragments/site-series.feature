Prometheus has series of the busiest sites, only while they are active: answers, bytes, time, requests in flight and waiting. ``[metrics] sites`` says of how many, 200 unless set.
