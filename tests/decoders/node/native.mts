// A web client of the 1:1 API that takes its types as native: true is verified, and what is not has a message.
interface Verification {
  readonly verificationResult: boolean;
  readonly error: { readonly errorCode: number; readonly errorMessage: string };
}

export function reading(body: string): string {
  const answer = JSON.parse(body) as Partial<Verification>;
  if (answer.verificationResult === true) {
    return "- found";
  }
  if (answer.error?.errorMessage === undefined) {
    throw new Error("error.errorMessage is missing");
  }
  if (answer.verificationResult !== false) {
    throw new Error(`verificationResult is ${typeof answer.verificationResult === "string" ? "a text" : "missing"}`);
  }
  return `${answer.error.errorCode} rejected`;
}
