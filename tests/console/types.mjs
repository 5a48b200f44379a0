// Writes openapi.d.ts, the types of the admin API: `node types.mjs openapi.json`. Not committed: they are made of what the binary says.

import fs from 'node:fs';
import openapiTS, { astToString } from 'openapi-typescript';

const document = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
for (const schema of Object.values(document.components.schemas)) {
  // Beside `properties` these say which keys go together, which a type of TypeScript would only make `unknown`.
  if (schema.properties) for (const key of ['anyOf', 'oneOf', 'allOf', 'not']) delete schema[key];
}
fs.writeFileSync(new URL('openapi.d.ts', import.meta.url), astToString(await openapiTS(document, { defaultNonNullable: false })));
