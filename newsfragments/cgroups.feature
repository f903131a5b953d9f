`hostedge doctor` finds cgroup v2 wherever it is mounted, also beside v1, and tries it: apps are ended, frozen and counted by group on machines whose v2 has no controllers.
