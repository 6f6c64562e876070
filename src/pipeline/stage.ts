// The types of the pipeline's stages. A stage wraps a handler in another (a middleware), and may also have a function
// for the end of each response. Stages are composed once, when the pipeline is created.
import type { IncomingMessage } from 'node:http';
import type { RefusalReason } from '../metrics/layout.js';
import type { PipelineResponse } from './response.js';

/** Told, for the metrics, of each request that the server answers in place of the app. */
export type OnRefused = (reason: RefusalReason) => void;

/** If it throws or its promise rejects, the request has failed. */
export type Handler = (req: IncomingMessage, res: PipelineResponse, reqId: string) => unknown;
export type Stage = (next: Handler) => Handler;

/** Called exactly once for each response, when it has been sent or its connection has closed. */
export type OnClose = (res: PipelineResponse) => void;
