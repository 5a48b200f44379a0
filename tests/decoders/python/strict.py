"""Reads answers from stdin, one JSON object {"status","body"} a line, and prints what pydantic makes of each: a model made from the sample
of doc 4.1, strict, and no other key allowed."""

import json
import sys

from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError

KINDS = {dict: "an object", int: "a number", float: "a number", str: "a text", bool: "a boolean", type(None): "null"}


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Face(Strict):
    scores: dict[str, float] = Field(alias="FACE_T5")


class Response(Strict):
    face: Face


class Answer(Strict):
    tid: str
    encounter_id: None
    error: str
    errorCode: str
    finger_data: None
    iris_data: None
    face_data: None
    request_type: str
    maxResults: int
    faceThreshold: str
    fingerThreshold: int
    irisThreshold: int
    response: Json[Response]


def reason(error):
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))
    if first["type"] == "json_invalid":
        return "not JSON"
    if first["type"] == "missing":
        return f"{field} is missing"
    if first["type"] == "extra_forbidden":
        return f"{field} is unknown"
    return f"{field} is {KINDS[type(first['input'])]}"


for line in sys.stdin:
    try:
        answer = Answer.model_validate_json(json.loads(line)["body"])
    except ValidationError as error:
        print(f"broken: {reason(error)}")
        continue
    outcome = "found" if answer.response.face.scores else "nobody" if answer.errorCode == "6018" else "-"
    print(f"ok {answer.errorCode} {outcome}")
