import os
import subprocess
import sys
import time

CODE = """
import time
from concurrent.futures import ProcessPoolExecutor
from avsv.jobs.processes import end_with_parent

with ProcessPoolExecutor(2, initializer=end_with_parent) as pool:
    pool.submit(abs, 1).result()
    print(list(pool._processes)[0], flush=True)
    time.sleep(60)
"""


def test_workers_end_with_a_killed_parent():
    parent = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    assert os.path.exists(f"/proc/{worker}")
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not os.path.exists(f"/proc/{worker}")
