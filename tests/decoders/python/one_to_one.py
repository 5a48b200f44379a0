"""Reads answers from stdin, one JSON object {"status","body"} a line, and prints what a client of the 1:1 API makes of each."""

import json
import sys


def reading(status, body):
    if status != 200:
        return "- rejected"
    answer = json.loads(body)
    code = answer["error"]["errorCode"]
    float(answer["matchScore"])
    int(answer["quotaLimiter"])
    return f"{code} -"


for line in sys.stdin:
    answer = json.loads(line)
    try:
        print(f"ok {reading(answer['status'], answer['body'])}")
    except json.JSONDecodeError:
        print("broken: not JSON")
    except TypeError:
        print("broken: error is a text")
    except KeyError as error:
        print(f"broken: {error.args[0]} is missing")
    except ValueError:
        print("broken: quotaLimiter is not a number")
