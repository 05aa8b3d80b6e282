// errors-doc.test.ts - docs/errors.md says what the tables of the code say.

import { readFileSync } from 'node:fs';
import { ERROR_CODES, REASONS } from '@smcjs/core';
import { expect, it } from 'vitest';

/** Cells of all table rows whose first cell is a word in code style. */
const rows = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim().replaceAll('\\*', '*')),
  );

it('has every error code, with its text', () => {
  const documented = rows.filter(([code, , more]) => code?.startsWith('`ERR_') && more === undefined).map(([code, text]) => [code, text]);
  const texts = documented.slice(0, Object.keys(ERROR_CODES).length);
  expect(texts).toEqual(Object.entries(ERROR_CODES).map(([code, text]) => [`\`${code}\``, text]));
});

it('has every reason, with its number, text and hint', () => {
  const documented = rows.filter(([, code]) => code?.startsWith('`0x'));
  const expected = Object.entries(REASONS).map(([reason, { code, text, hint }]) => [
    `\`${reason}\``,
    `\`0x${code.toString(16).padStart(8, '0')}\``,
    text,
    hint,
  ]);
  expect(documented.sort()).toEqual(expected.sort());
});
