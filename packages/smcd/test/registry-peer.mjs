// registry-peer.mjs - an event loop that leaves names and marks in a runtime directory, and is killed.

import { isDecline, loadAddon } from '../dist/addon.js';
import { Registry } from '../dist/registry.js';

const { path, instance, marks = [], tuples = [], listener = true } = JSON.parse(process.argv[2]);
const addon = loadAddon();
if (isDecline(addon)) throw new Error(addon.detail);
const registry = new Registry(addon, addon.openDirectory(path), path);
const entered = listener ? registry.enter(instance) : undefined;
const fds = marks.map((endpoint) => registry.mark(endpoint));
const links = tuples.map((tuple) => registry.linkTuple(instance, registry.tupleName(Buffer.from(tuple, 'hex'))));
console.log(JSON.stringify({ entered, fds, links }));
// On the first command all names are given back in an orderly manner.
process.stdin.once('data', () => {
  registry.leave(instance);
  console.log('{}');
});
