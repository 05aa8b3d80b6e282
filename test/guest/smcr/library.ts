// library.ts - the parts of @smcjs/smcr below its backend, as built. Not exported by the package: loaded by their place, from the
// sources of these tests and from what is compiled of them alike.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

function root(): string {
  let directory = import.meta.dirname;
  while (!existsSync(join(directory, 'pnpm-workspace.yaml'))) directory = dirname(directory);
  return directory;
}

const part = (name: string): Promise<unknown> => import(pathToFileURL(join(root(), `packages/smcr/dist/${name}/index.js`)).href);

export const clc = (await part('clc')) as typeof import('../../../packages/smcr/src/clc/index.js');
export const connection = (await part('connection')) as typeof import('../../../packages/smcr/src/connection/index.js');
export const driver = (await part('driver')) as typeof import('../../../packages/smcr/src/driver/index.js');
export const group = (await part('group')) as typeof import('../../../packages/smcr/src/group/index.js');

export type { Agreement, LocalTerms } from '../../../packages/smcr/src/clc/index.js';
export type { GroupDriver, LinkPath } from '../../../packages/smcr/src/driver/index.js';
export type { Element, GroupRegistry, Link, LinkGroup, Member } from '../../../packages/smcr/src/group/index.js';
