"""A seccomp agent: mkdir(2) fails with ENOMEDIUM ("No medium found"), every other call goes on.

seccomp-agent.py LOG: takes connections on standard input, a listening socket, and writes what it is sent to LOG,
one line of JSON for each notification descriptor.
"""
import fcntl
import os
import select
import socket
import struct
import sys

# include/uapi/linux/seccomp.h
RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
ENOMEDIUM = 123
MKDIR = 83, 258  # and mkdirat; x86_64


def answer(listener):
    """Decides about one call. One whose process has gone is nobody's any more."""
    call = bytearray(80)
    try:
        fcntl.ioctl(listener, RECEIVE, call)
        number, = struct.unpack_from("i", call, 16)
        error, flags = (-ENOMEDIUM, 0) if number in MKDIR else (0, CONTINUE)
        fcntl.ioctl(listener, SEND, struct.pack("8sqiI", bytes(call[:8]), 0, error, flags))
    except FileNotFoundError:
        pass


def main():
    """Serves until it is killed."""
    server = socket.socket(fileno=0)
    poll = select.poll()
    poll.register(server, select.POLLIN)
    with open(sys.argv[1], "ab", buffering=0) as log:
        while True:
            for fd, event in poll.poll():
                if fd == server.fileno():
                    connection, _ = server.accept()
                    with connection:
                        text, fds, _, _ = socket.recv_fds(connection, 1 << 16, 4)
                        while more := connection.recv(1 << 16):
                            text += more
                    log.write(text + b"\n")
                    for listener in fds:
                        poll.register(listener, select.POLLIN)
                elif event & select.POLLIN:
                    answer(fd)
                else:
                    poll.unregister(fd)
                    os.close(fd)


main()
