// smc.ts - the program `smc`: what it is asked, what it answers. One command so far.
//
//     smc setup [--cgroup DIRECTORY]     once, as root: sockets of that cgroup (default: all) can use SMC's TCP option
//     smc setup --check                  is it set up, and does it work for this user? Needs no privileges
//     smc setup --remove                 undoes everything
//
// Exit codes: 0 done, or it works; 1 it does not work; 2 wrong arguments.

import { parseArgs } from 'node:util';
import { remove, type Status, setup, status } from '../tcp-option/setup.js';
import { SetupError } from '../tcp-option/setup-error.js';
import { tryOption } from '../tcp-option/trial.js';

const USAGE = `usage: smc setup [--cgroup DIRECTORY]   as root, once: sockets of the cgroup (default: all of the machine) that ask
                                       for it get the TCP option of SMC; nothing changes for all others
       smc setup --check               says whether it is set up, and tries it: needs no privileges
       smc setup --remove              as root: undoes everything
`;

/** Runs the program with these arguments; resolves to the exit code. Prints to `out`, errors to `err`. */
export async function smc(
  args: readonly string[],
  out: Print = write(process.stdout),
  err: Print = write(process.stderr),
): Promise<number> {
  const asked = parse(args);
  if (asked === undefined) {
    err(USAGE);
    return 2;
  }
  if (asked.help) {
    out(USAGE);
    return 0;
  }
  try {
    if (asked.check) return await check(out);
    if (asked.remove) out(remove() ? 'removed\n' : 'nothing was set up\n');
    else out(shown(setup(asked.cgroup)));
    return 0;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    err(`${error.code}: ${error.message}\n  what to do: ${error.hint}\n`);
    return 1;
  }
}

type Print = (text: string) => void;
const write = (stream: NodeJS.WriteStream): Print => {
  return (text) => void stream.write(text);
};

interface Asked {
  readonly cgroup?: string;
  readonly check: boolean;
  readonly remove: boolean;
  readonly help: boolean;
}

/** undefined when it cannot be understood. */
function parse(args: readonly string[]): Asked | undefined {
  const options = {
    cgroup: { type: 'string' },
    check: { type: 'boolean', default: false },
    remove: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const known = positionals.length === 1 && positionals[0] === 'setup';
    const kinds = [values.check, values.remove, values.cgroup !== undefined].filter(Boolean);
    return values.help || (known && kinds.length <= 1) ? (values as Asked) : undefined;
  } catch {
    return undefined;
  }
}

function shown({ directory, cgroups }: Status): string {
  const lines = cgroups.map(({ number, path }) => `  cgroup ${path ?? `number ${number}, not to be seen from here`}\n`);
  return `set up in ${directory}\n${lines.join('')}`;
}

async function check(out: Print): Promise<number> {
  const found = status();
  out(found === undefined ? 'not set up\n' : shown(found));
  const { client, server } = await tryOption();
  const works = client === 'agreed' && server === 'agreed';
  out(works ? 'works for this process\n' : `does not work for this process: is its cgroup set up? (client ${client}, server ${server})\n`);
  return works ? 0 : 1;
}
