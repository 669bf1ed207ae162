#!/usr/bin/env python3
"""stuck-fuse.py DIRECTORY LOG: a file system in which nothing is ever found: who looks waits, and cannot be killed.

It says "mounted" in the log, and "asked" whenever somebody looks for a name. It ends, and lets everybody go, with standard
input. The messages are those of linux/fuse.h; only what the mount and its root need is answered.
"""
import ctypes
import os
import select
import struct
import sys

INIT, GETATTR, LOOKUP, FORGET, INTERRUPT, BATCH_FORGET = 26, 3, 1, 2, 36, 42
HEADER = struct.Struct("<IIQQIIII")
ROOT_ATTRIBUTES = struct.pack("<QII6Q3I7I", 3600, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0)
VERSION = struct.pack("<IIIIHHIIHHI7I", 7, 31, 4096, 0, 12, 9, 4096, 1, 1, 0, 0, *[0] * 7)


def mount(directory, device):
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"stuck", directory.encode(), b"fuse", 6, options):
        raise OSError(ctypes.get_errno(), "mount")


def main(directory, log):
    device = os.open("/dev/fuse", os.O_RDWR)
    mount(directory, device)
    log = open(log, "a", buffering=1, encoding="ascii")
    while True:
        ready, _, _ = select.select([device, 0], [], [])
        if 0 in ready and not os.read(0, 1):
            os.close(device)
            return
        if device not in ready:
            continue
        request = os.read(device, 65536)
        _, opcode, unique, *_ = HEADER.unpack(request[: HEADER.size])
        if opcode == LOOKUP:
            log.write("asked\n")
        if opcode in (LOOKUP, FORGET, INTERRUPT, BATCH_FORGET):
            continue
        answer = {INIT: VERSION, GETATTR: ROOT_ATTRIBUTES}.get(opcode)
        error = 0 if answer else -38
        body = answer or b""
        os.write(device, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        if opcode == INIT:
            log.write("mounted\n")


main(*sys.argv[1:])
