// What a host counts of its workers: the supervisor of processes, and a process of threads.
import type { Policy } from '../balance/policy.js';
import type { ExitCause } from '../reports/exit-cause.js';
import { exitIndex, type Group, placingPolicies, type UnitKind, units } from './layout.js';

export abstract class HostCounters {
  /** @param more an integer from 0. @param index in its group */
  abstract add(group: Group, more?: number, index?: number): void;

  /** It is ready. */
  started(unit: UnitKind): void {
    this.add('starts', 1, units.indexOf(unit));
  }

  ended(unit: UnitKind, cause: ExitCause): void {
    this.add('exits', 1, exitIndex(unit, cause));
  }

  /** The policy has chosen a worker for a connection. */
  placed(policy: Policy): void {
    this.add('placed', 1, placingPolicies.indexOf(policy));
  }

  /** A request runs once more, as its thread has died. */
  retried(): void {
    this.add('retried');
  }

  /** A connection was closed before a worker had it. */
  unserved(): void {
    this.add('unserved');
  }
}
