// switch-client.ts - the client's half of the agreed switch, step by step: packages/core/src/socket/client-rendezvous.ts and
// packages/smcd/src/smcd-client.ts.

import type { Step } from './explore.js';
import { ANSWERS, type Client, decide, type Message, type State, type SwitchCase, type Word } from './switch-state.js';

export function clientSteps({ rules, patient }: SwitchCase, state: State): Step<State>[] {
  const { client, tcp, unix } = state;
  const to = (label: string, change: Partial<Client>, rest: Partial<State> = {}): Step<State> => ({
    label: `client ${label}`,
    to: { ...state, ...rest, client: { ...client, ...change } },
  });
  const mistake = (what: string): Step<State> => to('makes a mistake', {}, { mistake: what });
  const say = (message: Message) => ({ tcp: { ...tcp, up: [...tcp.up, message] } });
  /** Over without a ring: the offer is given back. */
  const end = (label: string, outcome: 'tcp' | 'failed', rest: Partial<State> = {}): Step<State> => {
    const up = (rest.unix ?? unix).up;
    const closing = outcome === 'failed' ? { tcp: { ...(rest.tcp ?? tcp), up: [...(rest.tcp ?? tcp).up, 'closed' as const] } } : {};
    const giving = client.offer ? { unix: { ...(rest.unix ?? unix), up: [...up, 'refuse' as const] } } : {};
    return to(label, { at: outcome, looked: '' }, { ...rest, ...giving, ...closing, name: false });
  };
  const tryTo = (from: Word, wanted: Word, then: (found: Word, rest: Partial<State>) => Step<State>): Step<State> => {
    if (state.element === 'free') return mistake("the word of a ring is used that is another connection's");
    const result = decide(rules, state, client.looked, from, wanted);
    if ('looked' in result) return to(`sees ${result.looked}`, { looked: result.looked });
    return then(result.found, { word: result.word });
  };
  const [message, ...down] = tcp.down;
  const taken = { tcp: { ...tcp, down } };
  const late = unix.down.length > 0 ? [to('refuses a late offer', {}, { unix: { up: [...unix.up, 'refuse'], down: [] } })] : [];

  switch (client.at) {
    case 'seeking':
      return [
        ...(unix.down.length > 0
          ? [
              to(
                'is offered a ring',
                { at: rules.claimFirst ? 'claim' : 'answer', offer: true },
                { name: false, unix: { ...unix, down: [] } },
              ),
            ]
          : []),
        ...(message !== undefined ? [end('hears the server first', 'tcp')] : []),
        end('waits no longer for an offer', 'tcp'),
      ];
    case 'claim':
      return [
        tryTo('offered', 'claimed', (found, rest) =>
          found === 'claimed' ? to('claims', { at: 'answer', looked: '' }, rest) : end('claims too late', 'tcp', rest),
        ),
      ];
    case 'answer':
      return [
        to(
          'answers',
          { at: 'propose' },
          { unix: { ...unix, up: [...unix.up, 'answer'] }, ...(rules.claimFirst ? {} : { word: 'claimed' }) },
        ),
      ];
    case 'propose':
      return [to('sends a Proposal', { at: 'proposed' }, say('proposal'))];
    case 'proposed':
      return [
        to('waits no longer for an Accept', { at: 'give up' }),
        ...(message === undefined ? [] : message === 'closed' ? [end('is hung up on', 'failed', taken)] : []),
        ...(message === 'accept'
          ? [
              to('takes an Accept', { at: 'decide', answered: true }, taken),
              to('dislikes an Accept', { at: 'refuse', answered: true }, taken),
            ]
          : []),
        ...(message === 'decline' ? [end('takes a Decline', 'tcp', taken)] : []),
        ...(message !== undefined && message !== 'closed' && !ANSWERS.includes(message)
          ? [mistake(`the client takes ${message} for an answer`)]
          : []),
      ];
    case 'decide':
      return [
        tryTo('claimed', 'ring', (found, rest) => {
          if (found === 'ring') return to('decides for the ring', { at: 'confirm', looked: '' }, rest);
          return found === 'tcpByServer' ? end('finds the decision for TCP', 'tcp', rest) : mistake(`the client finds ${found}`);
        }),
      ];
    case 'confirm':
      return [to('sends a Confirm', { at: 'ring' }, say('confirm'))];
    case 'refuse':
    case 'give up':
      return [
        tryTo('claimed', 'tcpByClient', (found, rest) => {
          if (found === 'tcpByClient') return to('decides for TCP', { at: 'say decline', looked: '' }, rest);
          if (found !== 'tcpByServer') return mistake(`the client finds ${found}`);
          return client.answered || !rules.awaitsAnswer
            ? end('finds the decision for TCP', 'tcp', rest)
            : to('finds the decision for TCP', { at: 'declined', looked: '' }, rest);
        }),
      ];
    case 'say decline':
      if (client.answered || !rules.awaitsAnswer) return [end('sends a Decline', 'tcp', say('decline'))];
      return [to('sends a Decline', { at: 'declined' }, say('decline'))];
    case 'declined':
      if (message === 'closed') return [end('is hung up on', 'failed', taken)];
      return [
        ...(patient ? [] : [end('waits no longer for any answer', 'failed')]),
        ...(message !== undefined
          ? [ANSWERS.includes(message) ? end('takes the answer', 'tcp', taken) : mistake(`the client takes ${message} for an answer`)]
          : []),
      ];
    case 'tcp':
      return [
        ...late,
        ...(client.spoken ? [] : [to('sends payload', { spoken: true }, say('payload'))]),
        ...(message === undefined
          ? []
          : message === 'payload' || message === 'closed'
            ? [to(`reads ${message}`, {}, taken)]
            : [mistake(`the client takes ${message} for payload`)]),
      ];
    case 'ring':
      if (message === undefined) return [];
      return [
        message === 'closed' ? to('is hung up on', { at: 'failed' }, taken) : mistake(`${message} reaches the client behind its ring`),
      ];
    case 'failed':
      return late;
  }
}
