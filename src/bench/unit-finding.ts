// What requests on threads (`--unit request`) gain or cost compared with whole connections on threads, in one sentence.
import { difference } from './difference.js';
import type { Cell, Round } from './results.js';
import { metricOf, summariseAnswered, throughput } from './summary.js';

const p99 = metricOf('p99');
/** A p99 varies more than requests/s from run to run: a difference counts from here on. */
const countingShare = 0.2;

/** @param model whose threads can serve either. @returns undefined if both have not been measured, or do not differ */
export function unitFinding(model: string, cells: readonly Cell[]): string | undefined {
  const connections = cells.find(({ contender }) => contender === model);
  const requests = cells.find(({ contender }) => contender === `${model}/request`);
  if (!connections || !requests) return undefined;
  const [rate, rateOfRequests] = [connections, requests].map((cell) => summariseAnswered(throughput, cell));
  const [tail, tailOfRequests] = [connections, requests].map((cell) => summariseAnswered(p99, cell));
  if (!rate || !rateOfRequests || !tail || !tailOfRequests) return undefined;
  const speeds = difference(values(requests), values(connections));
  const isSlower = speeds.result === 'different' && !speeds.isHigher;
  const isFaster = speeds.result === 'different' && speeds.isHigher;
  const hasLowerTail = tailOfRequests.max < tail.min && tailOfRequests.median < (1 - countingShare) * tail.median;
  const rates = `${throughput.write(rateOfRequests.median)} instead of ${throughput.write(rate.median)} requests/s`;
  const tails = `p99 ${p99.write(tailOfRequests.median)} instead of ${p99.write(tail.median)}`;
  const name = `${model}/request`;
  if (isSlower && hasLowerTail)
    return `${name} keeps quick requests from waiting behind slow ones (${tails}), for a hop between threads a request (${rates})`;
  if (isSlower)
    return `${name} is slower: handlers as quick as these do not repay what a hop between threads costs (${rates})`;
  if (hasLowerTail) return `${name} keeps quick requests from waiting behind slow ones (${tails})`;
  if (isFaster) return `${name} is faster: each request goes to a thread that is free (${rates})`;
  return undefined;
}

const values = ({ rounds }: { readonly rounds: readonly Round[] }): readonly number[] =>
  rounds.map(({ requestsPerSecond }) => requestsPerSecond);
