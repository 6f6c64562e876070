// Calls of the C library that Node does not offer, through koffi, which is prebuilt. Loaded on first use: a process that
// needs none of them does not pay for it.
import { platform } from 'node:process';
import { getSystemErrorName } from 'node:util';

interface Libc {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Buffer): number;
  bind(fd: number, address: Buffer, length: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  shutdown(fd: number, how: number): number;
  recv(fd: number, data: Buffer, length: number, flags: number): number;
  sendmsg(fd: number, header: Buffer, flags: number): number;
  recvmsg(fd: number, header: Buffer, flags: number): number;
  getsockname(fd: number, address: Buffer, length: Buffer): number;
  getpeername(fd: number, address: Buffer, length: Buffer): number;
  sendto(fd: number, data: Buffer, length: number, flags: number, address: Buffer, size: number): number;
  fcntl(fd: number, command: number, type: 'int', value: number): number;
  flock(fd: number, operation: number): number;
  dup2(from: number, to: number): number;
  socketpair(domain: number, type: number, protocol: number, pair: Buffer): number;
  poll(entries: Buffer, count: number, timeout: number): number;
  /** Not on macOS. */
  sched_setscheduler?(pid: number, policy: number, parameters: Buffer): number;
  umask(mask: number): number;
  waitpid(pid: number, status: null, options: number): number;
  /** Not on macOS. */
  accept4?(fd: number, address: null, length: null, flags: number): number;
  eventfd?(value: number, flags: number): number;
  memfd_create?(name: string, flags: number): number;
  mmap(address: bigint, length: number, protection: number, flags: number, fd: number, offset: number): bigint;
  close(fd: number): number;
  errno(): number;
  /** The address of the first byte of `view`. */
  address(view: Uint8Array): bigint;
}

/** A failed call of the C library. `code` is the name of its errno, such as `EADDRINUSE`. */
export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  constructor(
    readonly code: string,
    readonly call: string,
  ) {
    super(`${call}: ${code}`);
  }
}

let loaded: Libc | undefined;

/** @throws Error with a sentence for the user if koffi cannot be loaded */
export function libc(): Libc {
  loaded ??= load();
  return loaded;
}

/** @returns `result`. @throws SystemCallError with the errno if it is negative */
export function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(getSystemErrorName(-libc().errno()), call);
  return result;
}

function load(): Libc {
  // `require`, not `import()`: the callers are synchronous, and koffi is a CommonJS module.
  const { createRequire } = process.getBuiltinModule('node:module');
  const koffi = loadKoffi(createRequire(import.meta.url));
  const library = koffi.load(null); // the symbols of this process: libc on Linux, libSystem on macOS
  const calls = { errno: () => koffi.errno(), address: (view: Uint8Array) => koffi.address(view) };
  // Each symbol is looked up on first use; most processes use few of them.
  for (const [name, prototype] of Object.entries(prototypes)) {
    Object.defineProperty(calls, name, {
      configurable: true,
      get() {
        const value = library.func(prototype);
        Object.defineProperty(calls, name, { value });
        return value;
      },
    });
  }
  return calls as unknown as Libc;
}

const prototypes: { readonly [Name in keyof Omit<Libc, 'errno' | 'address'>]: string } = {
  socket: 'int socket(int, int, int)',
  setsockopt: 'int setsockopt(int, int, int, const void*, uint32_t)',
  getsockopt: 'int getsockopt(int, int, int, void*, void*)',
  bind: 'int bind(int, const void*, uint32_t)',
  listen: 'int listen(int, int)',
  connect: 'int connect(int, const void*, uint32_t)',
  shutdown: 'int shutdown(int, int)',
  recv: 'long recv(int, void*, unsigned long, int)',
  sendmsg: 'long sendmsg(int, const void*, int)',
  recvmsg: 'long recvmsg(int, void*, int)',
  getsockname: 'int getsockname(int, void*, void*)',
  getpeername: 'int getpeername(int, void*, void*)',
  sendto: 'long sendto(int, const void*, unsigned long, int, const void*, uint32_t)',
  fcntl: 'int fcntl(int, int, ...)',
  flock: 'int flock(int, int)',
  dup2: 'int dup2(int, int)',
  socketpair: 'int socketpair(int, int, int, void*)',
  poll: 'int poll(void*, unsigned long, int)',
  ...(platform === 'linux' && {
    sched_setscheduler: 'int sched_setscheduler(int, int, const void*)',
    memfd_create: 'int memfd_create(const char*, uint32_t)',
    eventfd: 'int eventfd(uint32_t, int)',
    accept4: 'int accept4(int, void*, void*, int)',
  }),
  mmap: 'void* mmap(void*, unsigned long, int, int, int, long)',
  umask: 'int umask(int)',
  waitpid: 'int waitpid(int, void*, int)',
  close: 'int close(int)',
};

function loadKoffi(require: NodeJS.Require): typeof import('koffi') {
  try {
    return require('koffi');
  } catch (error) {
    const [why] = (error as Error).message.split('\n');
    throw new Error(
      `cannot load the package koffi (${why}); its binary is an optional dependency: install without --omit=optional, ` +
        `on a platform that koffi supports (this is ${platform} ${process.arch})`,
      { cause: error },
    );
  }
}
