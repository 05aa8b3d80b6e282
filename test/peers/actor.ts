// actor.ts - one end of one connection that does what the test tells it and reports what happens to it.

import { createSocket } from 'node:dgram';
import type { AddressInfo, Server, Socket } from 'node:net';
import { payload, Random, Verifier } from '../support/random.js';
import { args, commands, load, report, type SideArgs, transportOf } from './lib.js';

export interface ActorArgs {
  readonly side: SideArgs;
  readonly role: 'client' | 'server';
  readonly port: number;
  readonly allowHalfOpen?: boolean;
  /** What this side sends is the stream of this seed, and what it receives must be that of `expects`. */
  readonly sends: number;
  readonly expects: number;
}

export type ActorCommand =
  | { readonly do: 'end' | 'destroy' | 'reset' | 'pause' | 'resume' | 'close' }
  /** Sends back what it gets, `after` so many milliseconds if said; says when it is ready to. */
  | { readonly do: 'echo'; readonly after?: number }
  /** Sends the next `bytes` in chunks of `chunk`, waiting for 'drain'; says when the last one was called back. */
  | { readonly do: 'send'; readonly bytes: number; readonly chunk: number }
  /** Says when so many bytes have arrived in all. */
  | { readonly do: 'await'; readonly bytes: number }
  /** Sends one byte and waits for one, so many times, with pauses of up to `pause` ms; says when it is done.
   * With `watch` its loop gets a descriptor to watch in each turn that ends in waiting; with `immediate` it says how many answers came
   * before an immediate that was asked for when the byte was sent. */
  | { readonly do: 'play'; readonly rounds: number; readonly pause: number; readonly watch?: boolean; readonly immediate?: boolean };

const { side, role, port, allowHalfOpen = false, sends, expects } = args<ActorArgs>();
const api = await load(side);
const verifier = new Verifier(expects);
let socket: Socket | undefined;
let server: Server | undefined;
let sent = 0;
let awaited = Number.POSITIVE_INFINITY;
let verify = true;

function act(on: Socket): void {
  socket = on;
  report('connected', { transport: transportOf(on), port: role === 'client' ? on.localPort : on.remotePort });
  on.on('data', (chunk) => {
    if (verify) verifier.take(chunk);
    if (verifier.received < awaited) return;
    awaited = Number.POSITIVE_INFINITY;
    report('arrived', { received: verifier.received });
  });
  on.on('end', () => report('event', { name: 'end' }));
  on.on('error', (error: NodeJS.ErrnoException) => report('event', { name: error.code ?? error.message }));
  on.on('close', (hadError) => report('event', { name: `close ${hadError}`, received: on.bytesRead, written: on.bytesWritten }));
}

async function send(on: Socket, bytes: number, chunk: number): Promise<void> {
  for (const end = sent + bytes; sent < end && !on.destroyed; ) {
    const length = Math.min(chunk, end - sent);
    const last = sent + length === end;
    const goOn = on.write(payload(sends, length, sent), (error) => {
      if (error) report('failed', { code: (error as NodeJS.ErrnoException).code });
      else if (last) report('sent', { sent: end });
    });
    sent += length;
    if (!goOn && !last) await new Promise((resolve) => on.once('drain', resolve).once('close', resolve));
  }
}

async function play(on: Socket, { rounds, pause, watch, immediate }: ActorCommand & { readonly do: 'play' }): Promise<void> {
  verify = false;
  let waiting = 0;
  let overtaken = 0;
  const random = new Random(rounds);
  for (let i = 0; i < rounds; i++) {
    const answered = new Promise((resolve) => on.once('data', resolve));
    on.write('.');
    if (immediate) {
      waiting++;
      setImmediate(() => waiting--);
    }
    const watched = watch ? createSocket('udp4').bind(0, '127.0.0.1') : undefined;
    await answered;
    overtaken += waiting;
    watched?.close();
    const ms = random.integer(0, pause);
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  }
  report('played', { overtaken });
}

const done = commands<ActorCommand>((command) => {
  const on = socket as Socket;
  if (command.do === 'send') void send(on, command.bytes, command.chunk);
  else if (command.do === 'play') void play(on, command);
  else if (command.do === 'await') {
    awaited = command.bytes;
    if (verifier.received >= awaited) report('arrived', { received: verifier.received });
  } else if (command.do === 'echo') {
    verify = false;
    const { after } = command;
    on.on('data', (chunk) => {
      if (after === undefined) on.write(chunk);
      else setTimeout(() => on.write(chunk), after);
    });
    report('echoing');
  } else if (command.do === 'reset') on.resetAndDestroy();
  else if (command.do === 'close') {
    server?.close();
    done();
  } else on[command.do]();
});

if (role === 'server') {
  server = api.createServer({ ...side.options, allowHalfOpen });
  server.on('connection', act);
  server.listen(port, '127.0.0.1', () => report('listening', { port: ((server as Server).address() as AddressInfo).port }));
} else {
  const connecting = api.connect({ ...side.options, allowHalfOpen, port, host: '127.0.0.1' });
  connecting.once('connect', () => act(connecting));
}
