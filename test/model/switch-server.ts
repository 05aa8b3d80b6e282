// switch-server.ts - the server's half of the agreed switch, step by step: packages/core/src/socket/server-rendezvous.ts and
// packages/smcd/src/smcd-server.ts.

import type { Step } from './explore.js';
import { decide, type Message, type Server, type State, type SwitchCase, type Word } from './switch-state.js';

export function serverSteps({ rules, patient }: SwitchCase, state: State): Step<State>[] {
  const { server, tcp, unix } = state;
  const to = (label: string, change: Partial<Server>, rest: Partial<State> = {}): Step<State> => ({
    label: `server ${label}`,
    to: { ...state, ...rest, server: { ...server, ...change } },
  });
  const mistake = (what: string): Step<State> => to('makes a mistake', {}, { mistake: what });
  const say = (...messages: Message[]) => ({ tcp: { ...tcp, down: [...tcp.down, ...messages] } });
  const released = (refused: boolean) =>
    (state.element === 'none' ? 'none' : refused || !rules.elementHeld ? 'free' : 'released') as State['element'];
  const end = (label: string, outcome: 'tcp' | 'failed', rest: Partial<State> = {}): Step<State> => {
    const down = (rest.tcp ?? tcp).down;
    const closing = outcome === 'failed' ? { tcp: { ...(rest.tcp ?? tcp), down: [...down, 'closed' as const] } } : {};
    return to(label, { at: outcome, looked: '' }, { ...rest, ...closing, element: released(rest.refused ?? state.refused) });
  };
  const tryTo = (from: Word, then: (found: Word, rest: Partial<State>) => Step<State>): Step<State> => {
    const result = decide(rules, state, server.looked, from, 'tcpByServer');
    if ('looked' in result) return to(`sees ${result.looked}`, { looked: result.looked });
    return then(result.found, { word: result.word });
  };
  const [message, ...up] = tcp.up;
  const taken = { tcp: { ...tcp, up } };
  const answer = { ...taken, tcp: { up, down: [...tcp.down, 'accept' as const] } };

  return [...unixSteps(), ...tcpSteps()];

  /** Messages of the Unix socket are taken whatever the connection waits for. */
  function unixSteps(): Step<State>[] {
    const [told, ...rest] = unix.up;
    if (told === undefined) return [];
    const after = { unix: { ...unix, up: rest } };
    if (told === 'refuse') {
      const element = state.element === 'released' ? ('free' as const) : state.element;
      return [
        to('is told that the offer is done with', server.at === 'offered' ? { at: 'give up' } : {}, { ...after, refused: true, element }),
      ];
    }
    return [to('is told of the claim', { known: true, ...(server.at === 'offered' ? { at: 'proposal' as const } : {}) }, after)];
  }

  function tcpSteps(): Step<State>[] {
    const hungUp = message === 'closed' ? [end('is hung up on', 'failed', taken)] : [];
    const misread = (expected: string) => [mistake(`the server takes ${message} for a ${expected}`)];
    switch (server.at) {
      case 'accepted':
        if (!state.name) return [end('finds no name', 'tcp')];
        return [
          to('offers a ring', { at: 'offered' }, { element: 'set aside', unix: { ...unix, down: ['offer'] } }),
          end('can offer nothing', 'tcp'),
        ];
      case 'offered':
        return [to('waits no longer for the claim', { at: 'give up' })];
      case 'give up':
        return [
          tryTo('offered', (found, rest) => {
            if (found === 'tcpByServer') return end('takes its offer back', 'tcp', rest);
            return to(`finds ${found}`, { at: 'proposal', looked: '' }, rest);
          }),
        ];
      case 'proposal':
        return [
          to('waits no longer for the Proposal', { at: 'time out' }),
          ...hungUp,
          ...(message === 'proposal' && server.known ? [to('accepts', { at: 'confirm' }, answer)] : []),
          ...(message === 'proposal' ? [to('dislikes the Proposal', { at: 'refuse' }, taken)] : []),
          ...(message !== undefined && message !== 'closed' && message !== 'proposal' ? misread('Proposal') : []),
        ];
      case 'time out': {
        const answers = rules.answers === 'none' ? {} : say('decline');
        return [
          tryTo('claimed', (found, rest) => {
            if (!rules.awaitsProposal) return end(`finds ${found} and declines`, 'tcp', { ...rest, ...answers });
            return to(`finds ${found} and declines`, { at: 'late proposal', looked: '' }, { ...rest, ...answers });
          }),
        ];
      }
      case 'late proposal': {
        if (message === undefined || message === 'closed') return patient ? hungUp : [...hungUp, end('waits no longer at all', 'failed')];
        if (message !== 'proposal') return misread('Proposal');
        const again = rules.answers === 'two' ? { tcp: { up, down: [...tcp.down, 'decline' as const] } } : taken;
        const theirs = state.word === 'tcpByClient' && rules.awaitsDecline;
        return [theirs ? to('takes the late Proposal', { at: 'decline' }, again) : end('takes the late Proposal', 'tcp', again)];
      }
      case 'refuse':
        return [
          tryTo('claimed', (found, rest) => {
            const declined = { ...rest, ...say('decline') };
            if (found === 'tcpByServer') return end('declines', 'tcp', declined);
            if (found !== 'tcpByClient') return mistake(`the server finds ${found}`);
            return rules.awaitsDecline
              ? to('declines, too', { at: 'decline', looked: '' }, declined)
              : end('declines, too', 'tcp', declined);
          }),
        ];
      case 'decline':
        if (message === undefined || message === 'closed') return patient ? hungUp : [...hungUp, end('waits no longer at all', 'failed')];
        return message === 'decline' ? [end('takes the Decline', 'tcp', taken)] : misread('Decline');
      case 'confirm':
        return [to('waits no longer for the Confirm', { at: 'time out of confirm' }), ...hungUp, ...confirmed()];
      case 'time out of confirm':
        return [
          tryTo('claimed', (found, rest) =>
            found === 'tcpByServer' || (found === 'tcpByClient' && !rules.awaitsDecline)
              ? end(`finds ${found}`, 'tcp', rest)
              : to(`finds ${found}`, { at: 'late confirm', looked: '' }, rest),
          ),
        ];
      case 'late confirm':
        return [...(patient ? [] : [end('waits no longer at all', 'failed')]), ...hungUp, ...confirmed()];
      case 'tcp':
        return [
          ...(server.spoken ? [] : [to('sends payload', { spoken: true }, say('payload'))]),
          ...(message === undefined
            ? []
            : message === 'payload' || message === 'closed'
              ? [to(`reads ${message}`, {}, taken)]
              : [mistake(`the server takes ${message} for payload`)]),
        ];
      case 'ring':
        if (message === undefined) return [];
        return [
          message === 'closed' ? to('is hung up on', { at: 'failed' }, taken) : mistake(`${message} reaches the server behind its ring`),
        ];
      case 'failed':
        return [];
    }
  }

  function confirmed(): Step<State>[] {
    if (message === undefined || message === 'closed') return [];
    if (message === 'decline') return [end('takes a Decline', 'tcp', taken)];
    if (message !== 'confirm') return [mistake(`the server takes ${message} for a Confirm`)];
    return [
      state.word === 'ring'
        ? to('takes the Confirm', { at: 'ring' }, taken)
        : mistake(`the server is sent a Confirm with the word ${state.word}`),
    ];
  }
}
