// One request in 20 uses about 30 ms of CPU time; the others complete at once.
let state = 1;
module.exports = (_req, res) => {
  if (Math.random() < 0.05) for (let i = 0; i < 2e7; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
  res.end(`${state}\n`);
};
