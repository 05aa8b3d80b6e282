// 08-rdma-verbs.ts - RDMA without SMC: two queue pairs of one device talk to each other, first by SEND and receive, then by
// RDMA WRITE, which the receiver's program has no part in. See docs/rdma-from-node.md.
//
//   sudo modprobe rdma_rxe && sudo rdma link add rxe0 type rxe netdev lo     (any RDMA device will do)
//   node packages/examples/dist/08-rdma-verbs.js
//   node scripts/guest.mjs node packages/examples/dist/08-rdma-verbs.js      (in the guest, on any machine)

import {
  COMPLETION,
  type CompletionQueue,
  ibverbs,
  type MemoryRegion,
  OPCODE,
  type QueuePair,
  RECEIVE_WR,
  SEND_FLAG,
  SEND_WR,
  STATUS,
} from '@smcjs/smcr/verbs';

const missing = ibverbs().probe();
if (missing !== undefined) {
  console.log(`no RDMA here: ${missing.detail}`);
  process.exit(0);
}

const [device] = await ibverbs().devices();
if (device === undefined) throw new Error('the device is gone');
const context = await device.open();
// Handles do not keep the event loop alive, and waiting for an event is no request: a program that only waits holds a timer.
const alive = setInterval(() => {}, 1000);
const port = await context.queryPort(1);
// The GID of an IPv4 address, ::ffff:a.b.c.d; that of a link-local address reaches nobody on a loopback interface.
const ofIpv4 = (gid: Uint8Array) => Buffer.from(gid).toString('hex').startsWith('00000000000000000000ffff');
const gid = port.gids.find(({ type, gid }) => type === 'rocev2' && ofIpv4(gid)) ?? port.gids[0];
if (gid === undefined) throw new Error(`port 1 of ${device.name} has no GID`);
console.log(`${device.name}: port 1 is ${port.state}, GID ${gid.index} is ${Buffer.from(gid.gid).toString('hex')} (${gid.type})`);

// Memory that the device reads and writes, a queue for what is done, and a queue pair: for each end.
const domain = await context.allocatePd();
const end = async () => {
  const queue = await context.createCompletionQueue(64);
  const pair = await domain.createQueuePair({ sendQueue: queue, receiveQueue: queue, maxSend: 16, maxReceive: 16, maxInline: 0 });
  const memory = await domain.allocateMemory(65536, { remoteWrite: true });
  return { queue, pair, memory };
};
const [left, right] = [await end(), await end()];

// Two programs would tell each other three things over TCP: queue pair number, first packet number, GID.
const connect = async (pair: QueuePair, peer: QueuePair) => {
  await pair.toInit({ port: 1, pkeyIndex: 0, remoteWrite: true });
  const path = { port: 1, sgidIndex: gid.index, dgid: gid.gid, hopLimit: 64, trafficClass: 0, pathMtu: port.activeMtu };
  await pair.toRtr({ ...path, destQpNumber: peer.number, rqPsn: 0, maxDestRdAtomic: 1, minRnrTimer: 12 });
  await pair.toRts({ sqPsn: 0, timeout: 14, retryCount: 7, rnrRetry: 7, maxRdAtomic: 1 });
};
await Promise.all([connect(left.pair, right.pair), connect(right.pair, left.pair)]);

// A request is a record of 32-bit words; made once, changed in place, posted any number of times.
const receive = new Uint32Array(RECEIVE_WR.words);
receive[RECEIVE_WR.lkey] = right.memory.lkey;
receive[RECEIVE_WR.length] = 1024;
address(receive, RECEIVE_WR.localLow, right.memory.address);
right.pair.postReceive(receive, 1);

const send = new Uint32Array(SEND_WR.words);
send[SEND_WR.opcode] = OPCODE.send;
send[SEND_WR.flags] = SEND_FLAG.signaled;
send[SEND_WR.lkey] = left.memory.lkey;
send[SEND_WR.length] = left.memory.bytes.write('hello by SEND');
address(send, SEND_WR.localLow, left.memory.address);
left.pair.postSend(send, 1);

const received = await completion(right.queue);
console.log(`received ${received} bytes: ${text(right.memory, 0, received)}`);
await completion(left.queue);

// One-sided: the bytes go to an address of the peer; only the writer's queue tells that they are there.
left.memory.bytes.write('written into your memory', 4096);
send[SEND_WR.opcode] = OPCODE.rdmaWrite;
send[SEND_WR.length] = 24;
send[SEND_WR.rkey] = right.memory.rkey;
address(send, SEND_WR.localLow, left.memory.address + 4096n);
address(send, SEND_WR.remoteLow, right.memory.address + 8192n);
left.pair.postSend(send, 1);
await completion(left.queue);
console.log(`found at 8192: ${text(right.memory, 8192, 24)}`);

await context.close();
clearInterval(alive);

function address(record: Uint32Array, low: number, value: bigint): void {
  record[low] = Number(value & 0xffff_ffffn);
  record[low + 1] = Number(value >> 32n);
}

/** A private copy first: the peer may be writing. */
function text({ bytes }: MemoryRegion, from: number, length: number): string {
  return Buffer.from(bytes.subarray(from, from + length)).toString();
}

/** Waits in event mode for one completion; its bytes if it is a receive. */
async function completion(queue: CompletionQueue): Promise<number> {
  const record = new Uint32Array(COMPLETION.words);
  while (queue.poll(record) === 0) {
    const event = new Promise<void>((resolve) => {
      queue.onEvent = resolve;
    });
    queue.arm(false);
    // What came between the poll and arm() has no event.
    if (queue.poll(record) > 0) break;
    await event;
  }
  if (record[COMPLETION.status] !== STATUS.success) throw new Error(`completed with status ${record[COMPLETION.status]}`);
  return record[COMPLETION.length] as number;
}
