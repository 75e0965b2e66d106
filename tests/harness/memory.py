"""What a workspace's mediator holds in memory."""

import re
import threading


class Watch:
    """The most memory that the mediator holds meanwhile, in KiB."""

    def __init__(self, guest):
        self.status = f"/proc/{guest.processes()['mediator'].pid}/status"
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.before = self.most = self.now()

    def now(self):
        with open(self.status, encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def look(self):
        while not self.done.wait(0.05):
            self.most = max(self.most, self.now())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def growth(self):
        return self.most - self.before
