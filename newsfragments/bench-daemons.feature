`make bench-daemons` measures cold starts beside uWSGI, Passenger and systemd's socket activation, what a launch does to the keeper, and what it keeps in mind.
