"""The first process of the tests' process namespace: runs a command and, as init does, reaps every orphan."""

import os
import sys


def main():
    child = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
    while True:
        pid, status = os.wait()
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    sys.exit(main())
