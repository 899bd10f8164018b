# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a command many times by labgrid's QEMUDriver and ShellDriver, and prints how long each took.

The environment file, the command and how often are the arguments.
"""

import json
import sys
import time

from labgrid import Environment

_, config, command, count = sys.argv

target = Environment(config).get_target("main")
seconds = []
try:
    begun = time.perf_counter()
    target.get_driver("QEMUDriver").on()
    shell = target.get_driver("ShellDriver")
    boot = time.perf_counter() - begun
    for _ in range(int(count)):
        begun = time.perf_counter()
        output, _, status = shell.run(command)
        seconds.append(time.perf_counter() - begun)
        if status != 0:
            sys.exit(f"{command} ended with {status}: {output}")
finally:
    target.cleanup()
print(json.dumps({"boot": boot, "seconds": seconds}))
