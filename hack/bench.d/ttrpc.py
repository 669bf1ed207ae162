"""Calling a shim: the protocol ttrpc, and as much of protobuf as its messages need."""
import contextlib
import socket
import struct
import threading

from commands import LIMIT, Failed

REQUEST, RESPONSE = 1, 2
TASK = "containerd.task.v2.Task"


def varint(number):
    """A number in seven bits a byte."""
    parts = bytearray()
    while True:
        number, low = number >> 7, number & 127
        parts.append(low | (128 if number else 0))
        if not number:
            return bytes(parts)


def message(fields):
    """Numbers, truths, texts and bytes by the numbers of their fields; what is empty is left out."""
    parts = []
    for key, value in fields.items():
        if isinstance(value, int):
            parts.append(varint(key << 3) + varint(value) if value else b"")
        else:
            value = value.encode() if isinstance(value, str) else value
            parts.append(varint(key << 3 | 2) + varint(len(value)) + value if value else b"")
    return b"".join(parts)


def fields_of(data):
    """The fields of a message: the last of each number."""
    fields, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            fields[key >> 3] = number()
        elif key & 7 == 2:
            length = number()
            fields[key >> 3], at = data[at:at + length], at + length
        else:
            raise Failed(f"a message with a field of kind {key & 7}")
    return fields


def any_of(kind, value):
    """google.protobuf.Any."""
    return message({1: kind, 2: value})


class Wire:
    """A connection."""

    def __init__(self, connection):
        self.socket = connection

    def exactly(self, length):
        """As many bytes; none if the other side has gone."""
        data = b""
        while len(data) < length:
            more = self.socket.recv(length - len(data))
            if not more:
                return b""
            data += more
        return data

    def read(self):
        """Stream, kind and payload of the next frame, or nothing at the end."""
        header = self.exactly(10)
        if not header:
            return None
        length, stream, kind, _flags = struct.unpack(">IIBB", header)
        return stream, kind, self.exactly(length)

    def write(self, stream, kind, payload):
        """Sends a frame."""
        self.socket.sendall(struct.pack(">IIBB", len(payload), stream, kind, 0) + payload)


class Client(Wire):
    """A caller."""

    def __init__(self, path):
        super().__init__(socket.socket(socket.AF_UNIX))
        self.socket.settimeout(LIMIT)
        self.socket.connect(path)
        self.stream, self.answers = -1, {}

    def send(self, method, fields):
        """Calls; the number by which the answer is known."""
        self.stream += 2
        self.write(self.stream, REQUEST, message({1: TASK, 2: method, 3: message(fields)}))
        return self.stream

    def answer(self, stream):
        """The answer to a call; Failed if it is an error."""
        while stream not in self.answers:
            frame = self.read()
            if frame is None:
                raise Failed("the shim has gone")
            self.answers[frame[0]] = frame[2]
        response = fields_of(self.answers.pop(stream))
        status = fields_of(response.get(1, b""))
        if status.get(1):
            raise Failed(status.get(2, b"?").decode(errors="replace"))
        return fields_of(response.get(2, b""))

    def call(self, method, fields):
        """Calls, and waits for the answer."""
        return self.answer(self.send(method, fields))

    def shut_down(self, container):
        """Sends the shim away. It may go before it has answered."""
        with contextlib.suppress(Failed, ConnectionError):
            self.call("Shutdown", {1: container})
        self.socket.close()


class Events(threading.Thread):
    """Who is told of events, and nods."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[Wire(connection)], daemon=True).start()

    @staticmethod
    def serve(wire):
        """One shim's connection."""
        try:
            while frame := wire.read():
                wire.write(frame[0], RESPONSE, b"")
        except OSError:
            pass

    def close(self):
        """Takes no more."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
