// probe.ts - the program `smc-probe`: what this machine has, and what becomes of a connection to somebody.
//
//     smc-probe                   which transports this process can use, and for each other one why not and what helps
//     smc-probe [HOST:]PORT       connects, sends no payload, and says the same of the connection
//     --timeout SECONDS           how long it waits to be connected
//     --json                      as one line of JSON: {usable, declines}, or {usable, address, transport, ms, declines}, or, when it
//                                 is not connected, {usable, address, error: {code, message}, declines}
//
// Exit codes: 0 looked, or connected by whatever transport; 1 not connected; 2 wrong arguments, or variables of the options.

import { parseArgs } from 'node:util';
import { SmcError, systemError } from '../errors.js';
import { connect, type Decline, probe, type Socket, type TransportName } from '../index.js';

/** A host that drops what it is sent says nothing. */
const TIMEOUT = '20';

const USAGE = `usage: smc-probe [--json]                 the transports that this machine has, and why others cannot be used
       smc-probe [--json] [HOST:]PORT    connects, sends no payload, and says which transport it is and why no other
                 --timeout SECONDS       how long it waits to be connected (${TIMEOUT})

The options of a connection come from the environment, as in every program: SMC_TRANSPORTS, SMC_RUNTIME_DIR ... With
SMC_DISCOVERY=inline it begins as every client does then, by messages that a server without SMC takes for payload.
`;

/** What a timer can wait. */
const LONGEST = 2_147_483;

type Print = (text: string) => void;
const write = (stream: NodeJS.WriteStream): Print => {
  return (text) => void stream.write(text);
};

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Asked {
  readonly json: boolean;
  readonly help: boolean;
  readonly address: Address | undefined;
  readonly timeout: number;
}

interface Connected {
  readonly transport: TransportName;
  readonly ms: number;
  readonly declines: readonly Decline[];
}

/** Runs the program with these arguments; resolves to the exit code. Prints to `out`, errors to `err`. */
export async function smcProbe(
  args: readonly string[],
  out: Print = write(process.stdout),
  err: Print = write(process.stderr),
): Promise<number> {
  const asked = parse(args);
  if (typeof asked === 'string') {
    err(`smc-probe: ${asked}\n\n${USAGE}`);
    return 2;
  }
  if (asked.help) {
    out(USAGE);
    return 0;
  }
  const looked = look();
  if (typeof looked === 'string') {
    err(`smc-probe: ${looked}\n`);
    return 2;
  }
  const { usable, declines } = looked;
  const { address, json, timeout } = asked;
  if (address === undefined) {
    out(json ? `${JSON.stringify({ usable, declines })}\n` : `${usableLine(usable)}${declines.map(declineLines).join('')}`);
    return 0;
  }
  const name = `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
  try {
    const found = await connection(address, timeout);
    if (json) out(`${JSON.stringify({ usable, address: name, ...found })}\n`);
    else out(`${usableLine(usable)}${name}: ${found.transport}, after ${found.ms} ms\n${found.declines.map(declineLines).join('')}`);
    return 0;
  } catch (error) {
    const { code = '', message, declines: reasons = [] } = error as NodeJS.ErrnoException & { declines?: readonly Decline[] };
    if (json) out(`${JSON.stringify({ usable, address: name, error: { code, message }, declines: reasons })}\n`);
    else {
      out(usableLine(usable));
      // The message has the same reasons, without what helps; of several addresses that refuse there is none.
      const what = reasons.length > 0 || message === '' ? code : message.includes(code) ? message : `${code}: ${message}`;
      err(`${name}: ${what}\n${reasons.map(declineLines).join('')}`);
    }
    return 1;
  }
}

/** What there is; or which variable has a value that no connection takes. */
function look(): ReturnType<typeof probe> | string {
  try {
    return probe();
  } catch (error) {
    if (error instanceof SmcError) return error.message;
    throw error;
  }
}

/** Or what cannot be understood. */
function parse(args: readonly string[]): Asked | string {
  const options = {
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
    timeout: { type: 'string' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const { json, help, timeout: given } = values;
    const timeout = Number(given ?? TIMEOUT);
    const [first, second] = positionals;
    if (help) return { json, help, address: undefined, timeout };
    if (!(timeout > 0 && timeout <= LONGEST)) return `--timeout '${given}': a number of seconds is needed, more than 0, ${LONGEST} at most`;
    if (second !== undefined) return `'${second}': one [HOST:]PORT at most, and there is '${first}'`;
    // Else 7000 of `--timeout 7000` is taken for the time, and nothing is connected, without a word.
    if (first === undefined && given !== undefined)
      return `--timeout ${given}: the [HOST:]PORT is missing that this is how long to wait for`;
    const address = first === undefined ? undefined : addressOf(first);
    if (first !== undefined && address === undefined) return `'${first}' is no [HOST:]PORT${whyNot(first)}`;
    return { json, help, address, timeout };
  } catch (error) {
    // Of parseArgs, which names the option, and goes on with advice.
    return (error as Error).message.split('. ', 1)[0] as string;
  }
}

function whyNot(text: string): string {
  if (/^[\da-f]*:[\da-f:]*:\d+$/i.test(text)) return ': an IPv6 address stands in brackets, as [::1]:7000';
  const [, digits] = /(?:^|:)(-?\d+)$/.exec(text) ?? [];
  return digits === undefined ? ': it ends with the number of a port' : ': a port is a number from 1 to 65535';
}

/** Of `7000`, `host:7000` or `[::1]:7000`. */
function addressOf(text: string): Address | undefined {
  const [, , bracketed, plain, digits = ''] = /^((?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === '' || port < 1 || port > 65_535) return undefined;
  return { host: bracketed ?? plain ?? 'localhost', port };
}

/** @throws Error of the socket, as to every program */
function connection({ host, port }: Address, seconds: number): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const socket: Socket = connect({ host, port });
    // Also while it looks up the name and asks addresses in turn.
    const limit = setTimeout(() => socket.destroy(systemError('ETIMEDOUT', 'connect')), seconds * 1000);
    socket.once('close', () => clearTimeout(limit));
    socket.once('error', reject).once('connect', () => {
      const ms = Math.round((performance.now() - begin) * 10) / 10;
      // As long as there is no transport there is no 'connect'.
      resolve({ transport: socket.transport as TransportName, ms, declines: socket.declines });
      socket.destroy();
    });
  });
}

const usableLine = (usable: readonly TransportName[]): string => `here: ${usable.join(', ') || 'none'}\n`;

const declineLines = ({ transport, side, reason, detail, hint }: Decline): string =>
  `not ${transport}: ${reason}, ${side} (${detail})\n${hint === '' ? '' : `  what to do: ${hint}\n`}`;
