// message-slots.ts - the registered memory from which messages of one link are sent and into which they are received.
//
//   send:     16 slots of 64 bytes (CDC and almost all LLC) | 1 slot of 8 KiB (LLC with long lists) | 64 bytes of the stall guard
//   receive:  48 slots of 512 bytes; 8 KiB where the peer may send long ADD LINKs (more than one link)
//
// As many as Linux has. A message that finds no receive slot is sent again by the adapters (RNR retry without end).

import { LLC_MAX_LENGTH } from '../llc/index.js';
import { GUARD_ANSWER, type MemoryRegion, type ProtectionDomain } from '../verbs-provider.js';

export const SEND_SLOTS = 16;
export const SHORT_MESSAGE = 64;
/** The slot behind the short ones. */
export const LONG_SLOT = SEND_SLOTS;
export const RECEIVE_SLOTS = 48;
/** Where the stall guard answers from, in the send memory. */
export const GUARD_AT = SEND_SLOTS * SHORT_MESSAGE + LLC_MAX_LENGTH;

export class MessageSlots {
  readonly send: MemoryRegion;
  readonly receive: MemoryRegion;
  readonly receiveLength: number;

  private constructor(send: MemoryRegion, receive: MemoryRegion, receiveLength: number) {
    this.send = send;
    this.receive = receive;
    this.receiveLength = receiveLength;
  }

  static async allocate(pd: ProtectionDomain, longMessages: boolean): Promise<MessageSlots> {
    const receiveLength = longMessages ? LLC_MAX_LENGTH : 512;
    const send = await pd.allocateMemory(GUARD_AT + GUARD_ANSWER, { remoteWrite: false });
    try {
      return new MessageSlots(send, await pd.allocateMemory(RECEIVE_SLOTS * receiveLength, { remoteWrite: false }), receiveLength);
    } catch (error) {
      await send.release();
      throw error;
    }
  }

  /** Offset of a send slot. */
  sendAt(slot: number): number {
    return slot * SHORT_MESSAGE;
  }

  async release(): Promise<void> {
    await this.send.release();
    await this.receive.release();
  }
}
