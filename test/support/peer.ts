// peer.ts - starts the other process of a test, talks to it in lines of JSON, and makes sure it does not survive the test.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** One line a peer wrote. `is` says what kind of message it is; the rest depends on that. */
export interface Message {
  readonly is: string;
  readonly [name: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface PeerOptions {
  readonly execPath?: string;
  /** Options of Node itself, before the script. */
  readonly execArgv?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Peer {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #messages: Message[] = [];
  readonly #waiting = new Set<() => void>();
  #gone: Exit | undefined;
  /** What it wrote to stderr. */
  errors = '';
  /** Settles when it has ended and everything it wrote was read. */
  readonly exit: Promise<Exit>;

  /** Starts test/dist/peers/NAME.js; `args` reach it as JSON. Killed, at the latest, when the test ends. */
  constructor(name: string, args: object, options: PeerOptions = {}) {
    const script = fileURLToPath(new URL(`../dist/peers/${name}.js`, import.meta.url));
    this.#name = name;
    this.#child = spawn(options.execPath ?? process.execPath, [...(options.execArgv ?? []), script, JSON.stringify(args)], {
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) => this.#take(line));
    this.exit = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        this.#gone = { code, signal };
        resolve(this.#gone);
        this.#wake();
      });
    });
    onTestFinished(async () => {
      this.kill('SIGKILL');
      await this.exit;
    });
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get running(): boolean {
    return this.#gone === undefined;
  }

  /** Everything it said so far and nobody asked for yet. */
  get unread(): readonly Message[] {
    return this.#messages;
  }

  /** The next message of this kind; earlier ones of other kinds stay for later. Rejects when the peer ends without it. */
  async message(is: string): Promise<Message> {
    for (;;) {
      const at = this.#messages.findIndex((message) => message.is === is);
      if (at >= 0) return this.#messages.splice(at, 1)[0] as Message;
      if (this.#gone) {
        throw new Error(`${this.#name} ended (${this.#gone.code ?? this.#gone.signal}) without "${is}"\n${this.errors}`);
      }
      await new Promise<void>((resolve) => void this.#waiting.add(resolve));
    }
  }

  /** Resolves with all messages of this kind once the peer has ended. */
  async messages(is: string): Promise<Message[]> {
    await this.exit;
    return this.#messages.filter((message) => message.is === is);
  }

  send(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  kill(signal: NodeJS.Signals): void {
    if (this.running) this.#child.kill(signal);
  }

  #take(line: string): void {
    this.#messages.push(JSON.parse(line) as Message);
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting) resume();
    this.#waiting.clear();
  }
}
