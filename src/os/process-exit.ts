// Waits for the exit of a process that need not be a child.
const pollIntervalMs = 20;

/** @returns false if the process still runs after `timeoutMs` milliseconds */
export async function waitForExit(pid: number, timeoutMs: number): Promise<boolean> {
  for (let waited = 0; waited < timeoutMs; waited += pollIntervalMs) {
    if (hasExited(pid)) return true;
    await new Promise((resolve) => setTimeout(resolve, pollIntervalMs));
  }
  return hasExited(pid);
}

function hasExited(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
