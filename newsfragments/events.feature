``hostedge events`` and ``hostedge logs`` show what happens to apps and what they write, with ``-f`` as it comes. Apps have metrics: starts by phase, wakes, crashes, reloads, states.
