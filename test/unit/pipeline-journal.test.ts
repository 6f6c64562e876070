// The stage that records requests in the journal, at the end of a response.
import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { Denylist, emptyDenylist } from '../../src/inflight/denylist.ts';
import { Journal } from '../../src/inflight/journal.ts';
import { JournalWriter } from '../../src/inflight/journal-writer.ts';
import { mapJournal, type Region, regionAt } from '../../src/inflight/regions.ts';
import { journalRequests } from '../../src/pipeline/journal.ts';
import type { PipelineResponse } from '../../src/pipeline/response.ts';

test('a request that is answered before its body has arrived leaves the journal for good', () => {
  const journal = new Journal(1);
  try {
    const writer = new JournalWriter(regionAt(journal, 0, mapJournal(journal)) as Region);
    const denylist = new Denylist(emptyDenylist, () => {});
    const { stage, onClose } = journalRequests({ writer, culprits: undefined, denylist }, () => {}, false);
    const req = { method: 'POST', url: '/', rawHeaders: ['content-length', '10'], push: () => true };
    const res = { begunAt: 0 } as PipelineResponse;
    stage(() => undefined)(req as unknown as IncomingMessage, res, 'id');
    onClose(res);
    const push = req.push as (chunk: Buffer | null) => boolean;
    push(Buffer.from('late'));
    push(null);
    expect(journal.take()).toEqual([]);
  } finally {
    journal.close();
  }
});

test.each([
  ['the app', true],
  ['the server', false],
])('of an answer of %s, that it clears a suspect is %s', (_, isInApp) => {
  const cleared: string[] = [];
  const suspects = { ...emptyDenylist, suspects: ['GET /crash none'] };
  const denylist = new Denylist(suspects, (fingerprint) => cleared.push(fingerprint));
  const { onClose } = journalRequests({ writer: undefined, culprits: undefined, denylist }, () => {}, false);
  const req = { rawHeaders: [] as string[] };
  onClose({ req, reqMethod: 'GET', reqUrl: '/crash', headersSent: true, isInApp } as unknown as PipelineResponse);
  expect(cleared).toEqual(isInApp ? ['GET /crash none'] : []);
});
