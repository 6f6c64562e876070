import Counter from './counter';

export const dynamic = 'force-dynamic';

export default async function Page({ searchParams }) {
  const { name } = await searchParams;
  return (
    <main>
      <h1>{`hello ${name}`}</h1>
      <Counter />
    </main>
  );
}
