// The models, and those whose threads can serve requests once more with `--unit request`: what commands compare and test.
import type { ModelFacts, UnitOfWork } from './model.js';

export interface Variant {
  /** `prethread`, or `prethread/request`. */
  readonly name: string;
  readonly model: string;
  readonly unit: UnitOfWork;
}

export function variantsOf(models: readonly ModelFacts[]): readonly Variant[] {
  const units = ({ units }: ModelFacts): readonly UnitOfWork[] => (units ? ['connection', 'request'] : ['connection']);
  return models.flatMap((facts) => units(facts).map((unit) => variantOf(facts.name, unit)));
}

export function variantOf(model: string, unit: UnitOfWork): Variant {
  return { name: unit === 'request' ? `${model}/request` : model, model, unit };
}
