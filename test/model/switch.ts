// switch.ts - the agreed switch as a model: packages/core/src/transport/decision.ts, both halves of the rendezvous, and the
// offer of @smcjs/smcd. Two FIFO channels each way (TCP and the Unix socket) and one word in memory both sides see; a
// time-out is possible wherever a timer runs, refusals wherever something is checked.

import type { Model, Step } from './explore.js';

export interface SwitchRules {
  /** The word is changed by compare-and-swap; else there by a look and, later, a store. */
  readonly compareAndSwap: 'always' | 'not at the claim' | 'not for the ring';
  /** The client claims the offer before it says anything of CLC. */
  readonly claimFirst: boolean;
  /** A server whose patience ends before the Proposal came answers it all the same, and only once. */
  readonly answers: 'one' | 'none' | 'two';
  /** ... and takes it before anything else. */
  readonly awaitsProposal: boolean;
  /** A client that has declined after its Proposal takes the server's answer before anything else. */
  readonly awaitsAnswer: boolean;
  /** A server that finds the client's decision for TCP takes its Decline before anything else. */
  readonly awaitsDecline: boolean;
  /** The server's ring, which holds the word, is free for others only when the client has said that it is done with it. */
  readonly elementHeld: boolean;
}

export const SWITCH_RULES: SwitchRules = {
  compareAndSwap: 'always',
  claimFirst: true,
  answers: 'one',
  awaitsProposal: true,
  awaitsAnswer: true,
  awaitsDecline: true,
  elementHeld: true,
};

type Message = 'proposal' | 'accept' | 'confirm' | 'decline' | 'payload' | 'closed';
type Word = 'offered' | 'claimed' | 'ring' | 'tcpByClient' | 'tcpByServer';
type Outcome = 'ring' | 'tcp' | 'failed';

interface Client {
  readonly at:
    | 'seeking'
    | 'claim'
    | 'answer'
    | 'propose'
    | 'proposed'
    | 'decide'
    | 'confirm'
    | 'refuse'
    | 'give up'
    | 'say decline'
    | 'declined'
    | Outcome;
  /** It was offered a ring and is to say when it is done with it. */
  readonly offer: boolean;
  /** The server has answered its Proposal. */
  readonly answered: boolean;
  readonly looked: Word | '';
  readonly spoken: boolean; // its payload is sent
}

interface Server {
  readonly at:
    | 'accepted'
    | 'offered'
    | 'give up'
    | 'proposal'
    | 'time out'
    | 'late proposal'
    | 'refuse'
    | 'decline'
    | 'confirm'
    | 'time out of confirm'
    | 'late confirm'
    | Outcome;
  readonly known: boolean; // the client's ring, from its answer on the Unix socket
  readonly looked: Word | '';
  readonly spoken: boolean;
}

interface State {
  readonly word: Word;
  readonly name: boolean;
  readonly element: 'none' | 'set aside' | 'released' | 'free';
  readonly tcp: { readonly up: readonly Message[]; readonly down: readonly Message[] }; // up: to the server
  readonly unix: { readonly up: readonly ('answer' | 'refuse')[]; readonly down: readonly 'offer'[] };
  readonly refused: boolean;
  readonly client: Client;
  readonly server: Server;
  readonly mistake: string;
}

const OVER: readonly string[] = ['ring', 'tcp', 'failed'];
const ANSWERS: readonly Message[] = ['accept', 'decline'];

/** `patient`: nobody's patience ends twice in one connection. */
export function agreedSwitch(rules: SwitchRules, { patient }: { patient: boolean }): Model<State> {
  return {
    start: {
      word: 'offered',
      name: true,
      element: 'none',
      tcp: { up: [], down: [] },
      unix: { up: [], down: [] },
      refused: false,
      client: { at: 'seeking', offer: false, answered: false, looked: '', spoken: false },
      server: { at: 'accepted', known: false, looked: '', spoken: false },
      mistake: '',
    },
    steps: (state) => [...clientSteps(state), ...serverSteps(state)],
    wrong: ({ mistake, client, server }) => {
      if (mistake !== '') return mistake;
      const split = [client.at, server.at].includes('ring') && [client.at, server.at].includes('tcp');
      if (split) return 'split decision';
      return patient && [client.at, server.at].includes('failed') ? 'a connection fails although nobody was too late twice' : undefined;
    },
    stuck: ({ client, server, element, word }) => {
      if (!OVER.includes(client.at) || !OVER.includes(server.at)) return `waiting for ever: client ${client.at}, server ${server.at}`;
      // With the decision for the ring the client may write it until the link group ends: then nobody else may have it.
      return word === 'ring' || element === 'none' || element === 'free' ? undefined : 'the ring of the offer is never given back';
    },
  };

  // ---- what both do

  function decide(state: State, looked: Word | '', from: Word, to: Word): { looked: Word } | { word: Word; found: Word } {
    const place = from === 'offered' ? 'not at the claim' : 'not for the ring';
    if (rules.compareAndSwap !== place || to === 'tcpByClient' || (to === 'tcpByServer' && from === 'claimed'))
      return state.word === from ? { word: to, found: to } : { word: state.word, found: state.word };
    if (looked === '') return { looked: state.word };
    return looked === from ? { word: to, found: to } : { word: state.word, found: looked };
  }

  function clientSteps(state: State): Step<State>[] {
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
      const result = decide(state, client.looked, from, wanted);
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

  function serverSteps(state: State): Step<State>[] {
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
      const result = decide(state, server.looked, from, 'tcpByServer');
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
}
