"""
A `DaemonPorts` that keeps what was asked of it and runs on a `Clock`.
"""

from twisted.internet.task import Clock


class FakePorts:
    """
    Processes live until the test says `daemon.exited`; nothing answers by itself.
    """

    def __init__(self):
        self.clock = Clock()
        self.happened = []
        self.launched = 0
        self.alive = set()
        self.chance = 0.5
        self.waiting = False
        self.always_on = False
        self.used = False
        self.idle = 1800.0
        self.freeze_after = None
        self.way = "swap"
        self.new_children = True
        self.served = True
        # what its owner may want to know
        self.told = []
        self.frozen = set()
        # whose ports these are, if a whole machine has them
        self.daemon = None
        self.token = "none"
        self.question = 0
        self.refused = None

    def note(self, *what):
        self.happened.append(what)

    def seconds(self):
        return self.clock.seconds()

    def call_later(self, seconds, what):
        return self.clock.callLater(seconds, what)

    def random(self):
        return self.chance

    def number(self):
        self.launched += 1
        return self.launched

    def spawn(self, generation):
        self.alive.add(generation)
        self.note("spawn", generation)

    def signal(self, generation, name):
        self.note(name, generation)

    def ask_token(self):
        if self.token == "none":
            self.token = "line"

    def release_token(self):
        self.token = "none"

    def announce(self, generation):
        self.waiting = False
        self.note("announce", generation)

    def refuse(self, cause, retry, everyone):
        if everyone or retry > 30:
            self.waiting = False
        self.refused = (cause, round(retry, 3), everyone)
        self.note("refuse", cause, round(retry, 3))

    def retire(self, generation, deadline):
        self.note("retire", generation)

    def quiesce(self, generation, question):
        self.question = question

    def waited_for(self):
        return self.waiting or self.always_on

    def in_use(self):
        return self.used

    def idle_left(self):
        return self.idle

    def entered(self, state):
        self.note(state)

    def stuck(self, generation):
        self.note("stuck", generation)
        if self.daemon is not None:
            self.daemon.stuck(generation)

    def renew(self, generation, signal):
        self.note(signal, generation)

    def renewed(self, generation):
        return self.new_children

    def probe(self, generation):
        self.note("probe", generation)

    def freeze(self, generation):
        self.frozen.add(generation)

    def thaw(self, generation):
        self.frozen.discard(generation)

    def strategy(self):
        return self.way

    def freeze_left(self):
        return self.freeze_after

    def has_served(self, generation):
        return self.served

    def tell(self, event, generation=0, **facts):
        self.told.append((event, generation))

    def forgiven(self):
        self.note("forgiven")
