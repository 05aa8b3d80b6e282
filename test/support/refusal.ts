// refusal.ts - the error of a call with something missing or wrong.

import { expect } from 'vitest';

/** Its message has these words in this order: the argument, what is expected or was given. */
export const refusal = (...words: string[]): Error =>
  expect.objectContaining({
    name: 'SmcError',
    code: 'ERR_SMC_INVALID_OPTION',
    message: expect.stringMatching(new RegExp(words.join('.*'))) as string,
  }) as Error;
