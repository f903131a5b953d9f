import os
import pathlib
import signal
import sys

from hostedge.supervise import handover
from hostedge.supervise.held import Handed

given = handover.received()
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
(http,) = given.open_listeners()
ended = os.waitpid(int(sys.argv[1]), 0)[1]
inheritable = [os.get_inheritable(each) for each in given.descriptors()]
print(os.getpid(), os.waitstatus_to_exitcode(ended), http.address, os.getcwd())
print(http.protocol, http.asked, any(inheritable), signal.SIGTERM in blocked)
print(handover.received(), handover.VARIABLE in os.environ)
handover.unblock()
print(Handed(given.held).take(int(sys.argv[2]), pathlib.Path("x")).has_waiting())
print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
