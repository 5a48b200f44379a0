// Reads answers from stdin, one JSON object {"status","body"} a line, and prints what a client makes of each: run.mjs MODULE, whose
// function `reading` takes a body.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const { reading } = await import(pathToFileURL(resolve(process.argv[2])).href);
const said = (body) => {
  try {
    return `ok ${reading(body)}`;
  } catch (error) {
    return `broken: ${error instanceof SyntaxError ? "not JSON" : error.message}`;
  }
};
const lines = readFileSync(0, "utf8").trimEnd().split("\n");
console.log(lines.map((line) => said(JSON.parse(line).body)).join("\n"));
