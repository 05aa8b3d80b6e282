// rehearsal.ts - a first contact spends most of its time on V8 reading its code: each function is compiled when it is first called, where
// node:net has been compiled with Node. What of it needs no peer and touches nothing but memory is called once while modules are loaded.

import {
  acceptConfirmOf,
  allocateShared,
  ClcReader,
  DECISION,
  decide,
  encode as encodeClc,
  matches,
  proposalOf,
  RING_SIZE_MIN,
  RingConsumer,
  RingProducer,
} from '@smcjs/core/backend';
import { type ControlMessage, decode, encode, INSTANCE_BYTES, PROTOCOL_VERSION, TUPLE_BYTES } from './messages.js';
import { randomToken } from './token.js';

/** The messages of a handshake, both ways, and a byte through a ring. */
export function rehearse(): void {
  const instance = Buffer.alloc(INSTANCE_BYTES);
  const token = randomToken();
  const known = { instance, token, capacity: RING_SIZE_MIN };
  const reader = new ClcReader();
  for (const message of [proposalOf(instance), acceptConfirmOf('accept', { ...known, linkId: 1 })]) {
    reader.push(encodeClc(message));
    const read = reader.next();
    if (read?.type === 'accept' && read.path === 'smcd') matches(read, known);
  }
  reader.rest();
  const element = { segment: 0, index: 0 };
  const messages: ControlMessage[] = [
    { type: 'hello', version: PROTOCOL_VERSION, instance, linkGroup: 0 },
    { type: 'segment', id: 0, elements: 1, capacity: RING_SIZE_MIN },
    { type: 'offer', tuple: Buffer.alloc(TUPLE_BYTES), token, slot: 0, element, syn: 0 },
    { type: 'answer', offered: token, token, slot: 0, element },
  ];
  for (const message of messages) decode(encode(message));
  throughRing();
}

function throughRing(): void {
  const memory = allocateShared(RING_SIZE_MIN);
  decide(memory.words, DECISION.offered, DECISION.claimed);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  producer.write(Buffer.alloc(1));
  producer.publish();
  consumer.state();
  const bytes = consumer.available();
  consumer.copy(Buffer.alloc(bytes), 0, bytes);
  consumer.advance(bytes);
  consumer.publish();
}
