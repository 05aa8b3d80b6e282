// loss.test.ts - what a program is told of a link group that it has lost: the cause of its ECONNRESET, and what to do.

import { describe, expect, it } from 'vitest';
import { Loss } from '../src/driver/loss.js';
import type { Link } from '../src/group/index.js';
import { DELETE_REASON } from '../src/llc/index.js';
import { STATUS } from '../src/verbs-provider.js';

const [link, other] = [{}, {}] as [Link, Link];

const lost = (tell: (loss: Loss) => void, reason: 'lostPath' | 'protocolViolation' = 'lostPath') => {
  const loss = new Loss();
  tell(loss);
  loss.reason = DELETE_REASON[reason];
  return loss.error;
};

describe('the loss of a link group', () => {
  it('is told with what the device said, what follows from it does not matter', () => {
    const error = lost((loss) => {
      loss.told(link, 'port error');
      loss.completed(link, STATUS.flushed);
    });
    expect(error?.message).toBe('the last RDMA link to the peer failed: the device reports port error');
    expect(error?.hint).toContain('rdma link');
  });

  it('is told with the first completion that failed by itself, also when what follows from it came first', () => {
    const error = lost((loss) => {
      loss.completed(link, STATUS.flushed);
      loss.completed(link, STATUS.retryExceeded);
      loss.completed(link, STATUS.general);
    });
    expect(error?.message).toContain('the adapter of the peer does not answer');
  });

  it('is told of the link that failed last', () => {
    const error = lost((loss) => {
      loss.completed(link, STATUS.retryExceeded);
      loss.told(other, 'device fatal');
    });
    expect(error?.message).toContain('device fatal');
  });

  it('is silence of the peer when nothing else was seen, a broken protocol when that ended it, and nothing after an orderly end', () => {
    expect(lost(() => {})?.message).toContain('did not answer TEST LINK');
    expect(lost(() => {}, 'protocolViolation')?.hint).toContain('NODE_DEBUG=smcr');
    expect(new Loss().error).toBeUndefined();
  });
});
