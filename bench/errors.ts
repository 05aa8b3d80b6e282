// errors.ts - how a measurement can fail, told apart because the run goes on after some and stops after others.

/**
 * - `unavailable`: the transport cannot be used here; its reason is printed and the run goes on.
 * - `failed`: the transport broke or did not answer in time; the run goes on and ends with exit code 1.
 * - `mismatch`: bytes were lost, repeated or changed; the run stops at once with exit code 1.
 */
export type Failure = 'unavailable' | 'failed' | 'mismatch';

export class MeasureError extends Error {
  readonly failure: Failure;

  constructor(failure: Failure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MeasureError';
    this.failure = failure;
  }
}

export function asMeasureError(error: unknown, failure: Failure = 'failed'): MeasureError {
  if (error instanceof MeasureError) return error;
  if (!(error instanceof Error)) return new MeasureError(failure, String(error));
  const code = (error as NodeJS.ErrnoException).code;
  const named = code !== undefined && !error.message.includes(code) ? `${code}: ${error.message}` : error.message;
  return new MeasureError(failure, named, { cause: error });
}
