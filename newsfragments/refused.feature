``hostedge refused`` lists the last requests that the node has refused, and shows one by the error id of its page: what came, from whom, and at which byte it broke. Secrets are masked.
