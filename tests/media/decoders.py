"""Misbehaving decoders for test_decoder_process.py, which run in the guard's child process."""

import json
import logging
import os
import struct
import time

import numpy as np

from avsv.errors import InputError


def number(path, value):
    return float(value)


def images(path, n):
    return [np.full((height, 5, 3), height, np.uint8) for height in range(n)]


def die(path, signal):
    os.kill(os.getpid(), signal)


def die_once(path, signal):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal)
    return 8.0


def leave(path, status):
    os._exit(status)


def hang(path):
    time.sleep(600)


def hang_without_the_interpreter(path):
    """Hang in C code that holds the interpreter's lock, so no Python handler can run: catastrophic backtracking."""
    import re

    re.match(r"(a+)+$", "a" * 60 + "b")


def eat(path, mib):
    return np.ones(mib << 20, np.uint8)


def fail(path):
    return 1 / 0


def chatter(path):
    print("a library says hello")
    os.write(1, b"on file descriptor 1 as well")
    logging.getLogger("avsv").warning("skipped an image")
    return 5.0


def either(path):
    if path == "die":
        os.kill(os.getpid(), 11)
    if path == "bad":
        raise InputError(f"{path}: no number")
    return float(path)


def lie(path, how):
    """Write to the pipe for answers, as injected code in the child could."""
    text = {
        "objects": json.dumps({"arrays": [["|O", [1]]]}).encode(),
        "nonsense": b"[1, 2",
        "boundless": json.dumps({"arrays": [["|u1", [1 << 40]]]}).encode(),
    }[how]
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, struct.pack("<I", len(text)) + text)
        except OSError:
            continue
    time.sleep(1)


KEPT = []


def leak(path, mib):
    KEPT.append(np.ones(mib << 20, np.uint8))
    return 1.0


def die_after_another_file(path):
    """Simulate a heap corrupted by an earlier file: only a fresh process answers."""
    if KEPT:
        os.kill(os.getpid(), 11)
    return 2.0


def count(path, n):
    for number in range(n):
        yield number / 2, np.full((2, 3), number, np.uint8)


def count_and_fail(path, n):
    yield np.zeros(1)
    raise InputError(f"{path}: no more")


def stream_of_memory(path, mib, n):
    for _ in range(n):
        yield np.ones(mib << 20, np.uint8)
