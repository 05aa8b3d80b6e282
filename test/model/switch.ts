// switch.ts - the agreed switch as a model: packages/core/src/transport/decision.ts, both halves of the rendezvous, and the
// offer of @smcjs/smcd. A time-out is possible wherever a timer runs, a refusal wherever something is checked.

import type { Model } from './explore.js';
import { clientSteps } from './switch-client.js';
import { serverSteps } from './switch-server.js';
import { OVER, type State, type SwitchRules } from './switch-state.js';

export { SWITCH_RULES, type SwitchRules } from './switch-state.js';

/** `patient`: nobody is too late twice in one connection. */
export function agreedSwitch(rules: SwitchRules, { patient }: { patient: boolean }): Model<State> {
  const both = { rules, patient };
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
    steps: (state) => [...clientSteps(both, state), ...serverSteps(both, state)],
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
}
