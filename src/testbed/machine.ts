// The machine of a run, for its results.
import { cpus, type as osType, release } from 'node:os';

export interface Machine {
  /** `v20.20.2`. */
  readonly node: string;
  /** `Linux 6.18.44`. */
  readonly os: string;
  readonly cpu: string;
  readonly cores: number;
}

export function thisMachine(): Machine {
  return {
    node: process.version,
    os: `${osType()} ${release()}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
  };
}

/** The first line of a table of results. @param verb what mpserve did with the app */
export function titleOf(
  { app, version, machine }: { app: string; version: string; machine: Machine },
  verb = 'under',
): string {
  return `${app} ${verb} mpserve ${version} on Node ${machine.node}, ${machine.cores} × ${machine.cpu}, ${machine.os}`;
}
