// A client of the matcher's vendor, which knows the envelope, and none of Dukcapil's codes: an `error` that is not empty is a failure, and
// a missing or empty map of scores is no match.
export function reading(body) {
  const data = JSON.parse(body);
  if (data.error) {
    return "- rejected";
  }
  const scores = data.response === undefined ? {} : JSON.parse(data.response).face?.FACE_T5;
  return Object.keys(scores ?? {}).length > 0 ? "- found" : "- nobody";
}
