// doors.test.ts - the programs in docs/doors.md run as they are printed there, with shared memory within one event loop and over TCP.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CERTIFICATE, KEY } from '../software/certificate.js';

const document = readFileSync(join(import.meta.dirname, '../../docs/doors.md'), 'utf8');
const programs = [...document.matchAll(/^## (.+)$|^```js\n([\s\S]+?)^```$/gm)].reduce<[string, string][]>((found, [, title, code]) => {
  if (title !== undefined) found.push([title, '']);
  else (found.at(-1) as [string, string])[1] += code;
  return found;
}, []);

/** Where the packages of the repository are found by name. */
function run(code: string, env: NodeJS.ProcessEnv): Promise<string> {
  const directory = mkdtempSync(join(import.meta.dirname, '.doors-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'program.mjs'), code);
  writeFileSync(join(directory, 'key.pem'), KEY);
  writeFileSync(join(directory, 'cert.pem'), CERTIFICATE);
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['program.mjs'], { cwd: directory, env: { ...process.env, ...env } }, (error, out, err) => {
      if (error === null) resolve(out);
      else reject(new Error(`ended with ${error.code}:\n${out}${err}`));
    });
  });
}

const EXPECTED: Readonly<Record<string, (transport: string) => string>> = {
  TLS: (transport) => `TLSv1.3 over ${transport}: you said hello\n`,
  'undici and fastify': (transport) => `{ over: '${transport}' }\n`,
  ws: () => 'you said hello\n',
  'HTTP/2 and gRPC': () => 'over one connection\n',
};

describe.each(['memory', 'tcp'])('programs of docs/doors.md over %s', (transport) => {
  it.each(programs.filter(([, code]) => code !== ''))('%s', async (title, code) => {
    expect(await run(code, { SMC_TRANSPORTS: transport === 'tcp' ? 'tcp' : 'memory,tcp' })).toBe(EXPECTED[title]?.(transport));
  });
});

it('are all there', () => {
  expect(programs.filter(([, code]) => code !== '').map(([title]) => title)).toEqual(Object.keys(EXPECTED));
});
