// close-state.ts - the states of an ending connection and what each event does, as one table (RFC 7609 section 4.8 and figure 22;
// names and transitions as in Linux net/smc and smcss(8)). Pure.
//
//   active -- shutdown or close --> peerCloseWait1 -- peer done --> peerCloseWait2 -- peer closed --> closed or appFinCloseWait
//   active -- peer done or closed --> appCloseWait1 -- shutdown --> appCloseWait2 -- close --> peerFinCloseWait or closed
//   active -- peer aborts --> processAbort -- close --> closed
//
// "Shutdown" is the half close: no more bytes follow. "Close" ends both directions, in order or, when something was not read,
// abnormally; the element of the peer may be used again only when both sides have closed.

import { CDC_STATE } from '../cdc/message.js';

export type CloseState =
  | 'active'
  /** We ended; the peer has not. 1: it still sends; 2: it has shut down. */
  | 'peerCloseWait1'
  | 'peerCloseWait2'
  /** The peer ended; we have not. 1: we still send; 2: we have shut down. */
  | 'appCloseWait1'
  | 'appCloseWait2'
  /** Both shut down, the peer has closed, we have not. */
  | 'appFinCloseWait'
  /** The peer shut down, we have closed; its own close is missing. */
  | 'peerFinCloseWait'
  /** The peer aborted; we have not closed. */
  | 'processAbort'
  | 'closed';

export type CloseEvent = 'shutdown' | 'close' | 'abort' | 'peer-done' | 'peer-closed' | 'peer-abort' | 'lost';

/** How a connection ends so far. Mutable: one per connection. */
export class CloseStates {
  state: CloseState = 'active';
  /** CDC_STATE bits that every CDC message of ours carries from now on. */
  sent = 0;
  /** CDC_STATE bits the peer has sent. */
  received = 0;
  /** This side has closed: nobody is left to tell. */
  released = false;

  /** Has this side told that it closed, in order or not? */
  get sentAnyClose(): boolean {
    return (this.sent & (CDC_STATE.closed | CDC_STATE.abnormal)) !== 0;
  }

  get receivedAnyClose(): boolean {
    return (this.received & (CDC_STATE.closed | CDC_STATE.abnormal)) !== 0;
  }

  /** Takes one step. True when the bits to send have changed: a CDC message is due. */
  step(event: CloseEvent): boolean {
    const before = this.sent;
    if (event === 'close' || event === 'abort') this.released = true;
    this.#note(event);
    this.state = this.#next(event);
    return this.sent !== before;
  }

  #note(event: CloseEvent): void {
    if (event === 'peer-done') this.received |= CDC_STATE.sendingDone;
    else if (event === 'peer-closed') this.received |= CDC_STATE.closed;
    else if (event === 'peer-abort') this.received |= CDC_STATE.abnormal;
  }

  #next(event: CloseEvent): CloseState {
    switch (event) {
      case 'shutdown':
        return this.#shutdown();
      case 'close':
        return this.#close(CDC_STATE.closed);
      case 'abort':
        return this.#close(CDC_STATE.abnormal);
      case 'peer-done':
        if (this.state === 'active') return 'appCloseWait1';
        return this.state === 'peerCloseWait1' ? 'peerCloseWait2' : this.state;
      case 'peer-closed':
        return this.#peerClosed();
      case 'peer-abort':
        return this.#peerAborted();
      case 'lost':
        return 'closed';
    }
  }

  #shutdown(): CloseState {
    if (this.state !== 'active' && this.state !== 'appCloseWait1') return this.state;
    this.sent |= CDC_STATE.sendingDone;
    return this.state === 'active' ? 'peerCloseWait1' : 'appCloseWait2';
  }

  #close(bit: number): CloseState {
    switch (this.state) {
      case 'active':
        this.sent |= bit;
        return 'peerCloseWait1';
      case 'peerCloseWait1':
      case 'peerCloseWait2':
        // Only shut down before; the peer's own close is still to come.
        if (!this.sentAnyClose) this.sent |= bit;
        return this.state;
      case 'appCloseWait1':
      case 'appCloseWait2':
        this.sent |= bit;
        return this.receivedAnyClose ? 'closed' : 'peerFinCloseWait';
      case 'appFinCloseWait':
        if (!this.sentAnyClose) this.sent |= bit;
        return 'closed';
      case 'processAbort':
        this.sent |= CDC_STATE.abnormal;
        return 'closed';
      case 'peerFinCloseWait':
      case 'closed':
        return this.state;
    }
  }

  #peerClosed(): CloseState {
    switch (this.state) {
      case 'active':
        return 'appCloseWait1';
      case 'peerCloseWait1':
      case 'peerCloseWait2':
      case 'peerFinCloseWait':
        return this.released && this.sentAnyClose ? 'closed' : 'appFinCloseWait';
      default:
        return this.state;
    }
  }

  #peerAborted(): CloseState {
    switch (this.state) {
      case 'active':
      case 'appCloseWait1':
      case 'appCloseWait2':
      case 'appFinCloseWait':
        this.sent |= CDC_STATE.abnormal;
        return 'processAbort';
      case 'peerCloseWait1':
      case 'peerCloseWait2':
        if (this.sentAnyClose) return 'closed';
        this.sent |= CDC_STATE.abnormal;
        return 'processAbort';
      case 'peerFinCloseWait':
        return 'closed';
      default:
        return this.state;
    }
  }
}
