// How a host places connections on its workers: what the configuration and messages say of it. Plain data.

/** The policies of --balance. */
export const policies = [
  'round-robin',
  'weighted',
  'least-connections',
  'random-two',
  'ip-hash',
  'lag',
  'first-idle',
] as const;
export type Policy = (typeof policies)[number];

/** The section `placing` of the configuration. */
export interface Placing {
  readonly balance: Policy;
  /** For `weighted`: of the workers or threads 1, 2 and so on. */
  readonly weights: readonly number[];
}
