// Constants of socket calls that several files use; the others are where they are used (socket(2), socket(7)).
import { platform } from 'node:process';

export const AF_UNIX = 1;
export const SOCK_STREAM = 1;
/** In the call itself, so that no child of another thread inherits the socket; macOS has no such flag. */
export const SOCK_CLOEXEC = platform === 'darwin' ? 0 : 0o2000000;
export const SOL_SOCKET = platform === 'darwin' ? 0xffff : 1;
export const MSG_DONTWAIT = platform === 'darwin' ? 0x80 : 0x40;
/** fcntl(2) */
export const F_SETFL = 4;
