// How --static and the configuration file name directories of files.
import { expect, test } from 'vitest';
import { staticMounts } from '../../src/config/static-mount.ts';

const mount = (path: string, dir: string, ...flags: readonly string[]) => ({
  path,
  dir,
  immutable: flags.includes('immutable'),
  spa: flags.includes('spa'),
  listing: flags.includes('listing'),
});

test.each([
  ['/assets=./dist', [mount('/assets', './dist')]],
  ['/assets/=./dist', [mount('/assets', './dist')]],
  ['/=public', [mount('/', 'public')]],
  ['/a=x,immutable', [mount('/a', 'x', 'immutable')]],
  ['/a=x,spa,listing', [mount('/a', 'x', 'spa', 'listing')]],
  ['/a=x=y,z', [mount('/a', 'x=y,z')]],
  [
    ['/a=x', '/b=y,spa'],
    [mount('/a', 'x'), mount('/b', 'y', 'spa')],
  ],
  [[{ path: '/a', dir: 'x,spa', immutable: true }], [mount('/a', 'x,spa', 'immutable')]],
  ['{"path":"/a","dir":"x,spa","immutable":true}', [mount('/a', 'x,spa', 'immutable')]],
  [[], []],
  [
    ['/a=x', '/ab=x'],
    [mount('/a', 'x'), mount('/ab', 'x')],
  ],
])('%j is read', (raw, value) => {
  expect(staticMounts.read(raw)).toEqual({ value });
  expect(staticMounts.read(staticMounts.write(value))).toEqual({ value });
});

test.each([
  ['assets=./dist', /PATH=DIR/],
  ['/assets', /PATH=DIR/],
  ['/assets=', /PATH=DIR/],
  ['/a?b=c', /without a query or dotfiles/],
  ['/a//b=c', /without a query or dotfiles/],
  ['/../a=c', /without a query or dotfiles/],
  ['/%61=c', /without a query or dotfiles/],
  ['/a=x\0y', /a directory/],
  [7, /PATH=DIR or an object/],
  ['{"path":', /PATH=DIR or an object/],
  [[{ path: '/a' }], /a directory/],
  [[{ path: '/a', dir: 'x', imutable: true }], /only the keys/],
  [[{ path: '/a', dir: 'x', spa: 'yes' }], /true or false as spa/],
  [[null], /PATH=DIR or an object/],
  [['/a=x', '/a=y'], /do not overlap; \/a \(x\) and \/a \(y\) do/],
  [['/a/b=x', '/a=y'], /do not overlap; \/a\/b \(x\) and \/a \(y\) do/],
  [['/=x', '/c=z'], /do not overlap; \/ \(x\) and \/c \(z\) do/],
])('%j is refused', (raw, reason) => {
  expect(staticMounts.read(raw)).toMatchObject({ refused: expect.stringMatching(reason) });
});

test('directories become absolute where they are named', () => {
  expect(staticMounts.rebase?.([mount('/a', 'x'), mount('/b', '/y')], '/srv', '/tmp')).toEqual([
    mount('/a', '/srv/x'),
    mount('/b', '/y'),
  ]);
});
