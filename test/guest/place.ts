// place.ts - where the tests are that take any RDMA device: rxe0 on lo, as in the guest, unless told otherwise. See docs/guest.md.

/** Its name. */
export const DEVICE = process.env.SMC_TEST_DEVICE ?? 'rxe0';
/** An IPv4 address of its network interface, which is a RoCEv2 GID then. */
export const ADDRESS = process.env.SMC_TEST_ADDRESS ?? '127.0.0.1';
