#!/usr/bin/env python3
"""Reads request streams as h11 does. Each line of the input is a stream in hexadecimal; each line of the output is what h11 understands of
it, as JSON: the requests until the end of the stream, of the connection, or the first error.

The two tolerances of the simulator beyond h11 are applied before h11 reads a head. Each is safe, because neither moves the end of a head.
"""

import json
import re
import sys

import h11

EMPTY_LINES = re.compile(rb"(?:\r?\n)+")
REQUEST_LINE = re.compile(rb"([^ \r\n]+) ([\x20-\x7e]+) (HTTP/1\.[01]\r?\n)")


def tolerate(data, tolerated):
    # RFC 9112, 2.2: a server should ignore an empty line before a request. h11 does not.
    empty = EMPTY_LINES.match(data)
    if empty:
        tolerated.add("empty lines")
        data = data[empty.end() :]
    # The document's own URL has a blank, and its clients send it so.
    line = REQUEST_LINE.match(data)
    if line and b" " in line[2] and line[2] == line[2].strip():
        tolerated.add("blank in the target")
        data = line[1] + b" " + line[2].replace(b" ", b"%20") + b" " + line[3] + data[line.end() :]
    return data


def read(data):
    """Returns the requests, and how it ends: ready, closed, incomplete or refused."""
    requests, tolerated = [], set()

    def result(end, why=""):
        return {"requests": requests, "end": end, "why": why, "tolerated": sorted(tolerated)}

    while True:
        data = tolerate(data, tolerated)
        if not data:
            return result("ready")
        # Large enough for every head that the simulator reads.
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        connection.receive_data(data)
        body, has_ended = b"", False
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as error:
                return result("incomplete" if has_ended else "refused", str(error))
            if event is h11.NEED_DATA:
                if has_ended:
                    return result("incomplete")
                connection.receive_data(b"")
                has_ended = True
            elif isinstance(event, h11.ConnectionClosed):
                return result("incomplete")
            elif isinstance(event, h11.Request):
                method, target = event.method.decode(), event.target.decode()
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                requests.append({"method": method, "target": target, "body": body.decode("latin-1")})
                if connection.their_state is h11.MUST_CLOSE:
                    return result("closed")
                # Once the end was received, h11 has it as trailing data as well.
                data = connection.trailing_data[0]
                break


for line in sys.stdin:
    print(json.dumps(read(bytes.fromhex(line))), flush=True)
