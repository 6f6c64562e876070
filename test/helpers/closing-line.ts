// Prints `N passed, N failed` as the last line of a run, for people and for programs that read only that. Before it, the
// tests that passed only when they were run again (`--retry`).
import type { Reporter, TestCase, TestModule, Vitest } from 'vitest/node';

export default class ClosingLine implements Reporter {
  /** What `--tags-filter` leaves out is no part of the run; vitest takes it for skipped. */
  private isAsked: (test: TestCase) => boolean = () => true;

  onInit({ config }: Vitest): void {
    const [filter] = config.tagsFilter ?? [];
    if (filter) this.isAsked = ({ tags }) => tags.includes('long') === (filter === 'long');
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const count = { passed: 0, failed: unhandled.length, skipped: 0, pending: 0 };
    const flaky: string[] = [];
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        if (this.isAsked(test)) count[test.result().state]++;
        if (test.diagnostic()?.flaky)
          flaky.push(`passed only when it was run again: ${module.relativeModuleId} > ${test.fullName}\n`);
      }
      if (module.errors().length > 0) count.failed++; // a file that could not even be loaded
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    // After the other reporters' summary, which is printed in this same hook.
    const line = `${count.passed} passed, ${count.failed} failed${skipped}\n`;
    process.once('exit', () => process.stdout.write(flaky.join('') + line));
  }
}
