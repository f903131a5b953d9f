``hostedge top`` shows what sites are doing now: requests and errors by the second, who waits, what is in flight, latencies; sorted as wanted, or once, or as JSON.
